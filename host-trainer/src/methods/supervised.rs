//! Labels alone: mean cross-entropy against smoothed labels, mixed where the training says so.

use burn::tensor::{Device, Tensor};

use super::labeled::Labels;
use super::one_set::OneSet;
use crate::data::batch::Normalization;
use crate::data::{Augment, Labeled};
use crate::net::Classifier;
use crate::nn::noise::Pass;
use crate::train::fit::{FitConfig, Objective};
use crate::train::loss::soft_cross_entropy;

/// Learning from labeled images.
pub(crate) struct Supervised<'a> {
    set: OneSet,
    labels: Labels<'a>,
}

impl<'a> Supervised<'a> {
    /// From step `first` on; `seed` fixes the order of the images and their changes.
    pub(crate) fn new(
        set: &'a Labeled,
        classes: usize,
        changes: (Augment, Normalization),
        fit: &'a FitConfig,
        (seed, first): (u64, u64),
        device: &Device,
    ) -> Self {
        let count = (fit.batch, "labeled");
        Self {
            set: OneSet::new(set.images.clone(), count, changes, (seed, first)),
            labels: Labels {
                labels: &set.labels,
                classes,
                fit,
                seed,
                device: device.clone(),
            },
        }
    }
}

impl<N: Classifier> Objective<N> for Supervised<'_> {
    fn loss(&mut self, net: &N, step: u64, pass: &mut Pass<'_>) -> Tensor<1> {
        let (x, targets) = self.labels.batch(&mut self.set.next_batch(), 0, step);
        soft_cross_entropy(net.forward(x, pass), targets)
    }

    fn images(&self) -> Vec<String> {
        self.set.names()
    }

    fn waiting(&self) -> f64 {
        self.set.waiting()
    }
}
