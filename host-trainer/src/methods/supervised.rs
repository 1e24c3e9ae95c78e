//! Labels alone: mean cross-entropy against smoothed labels, mixed where the training says so.

use burn::tensor::{Device, Tensor};

use super::labeled::Labels;
use crate::data::batch::Normalization;
use crate::data::{Augment, BatchSampler, Feed, Labeled, Loader};
use crate::model::Classifier;
use crate::nn::noise::Pass;
use crate::train::fit::{FitConfig, Objective};
use crate::train::loss::soft_cross_entropy;

/// Learning from labeled images.
pub struct Supervised<'a> {
    loader: Loader,
    labels: Labels<'a>,
    set: &'a Labeled,
    last: Vec<usize>,
}

impl<'a> Supervised<'a> {
    /// From step `first` on; `seed` fixes the order of the images and their changes.
    pub fn new(
        set: &'a Labeled,
        classes: usize,
        (augment, normalization): (Augment, Normalization),
        fit: &'a FitConfig,
        (seed, first): (u64, u64),
        device: &Device,
    ) -> Self {
        let feed = Feed {
            images: set.images.clone(),
            sampler: BatchSampler::new(seed, "labeled", set.labels.len()),
            count: fit.batch,
            entries: None,
            views: vec![augment],
            seed,
        };
        let labels = Labels {
            labels: &set.labels,
            classes,
            fit,
            seed,
            device: device.clone(),
        };
        Self {
            loader: Loader::new(vec![feed], normalization, first),
            labels,
            set,
            last: Vec::new(),
        }
    }
}

impl<N: Classifier> Objective<N> for Supervised<'_> {
    fn loss(&mut self, net: &N, step: u64, pass: &mut Pass<'_>) -> Tensor<1> {
        let mut loaded = self.loader.next_batch().remove(0);
        let (x, targets) = self.labels.batch(&mut loaded, 0, step);
        self.last = loaded.indices;
        soft_cross_entropy(net.forward(x, pass), targets)
    }

    fn images(&self) -> Vec<String> {
        self.last.iter().map(|i| self.set.images.name(*i)).collect()
    }

    fn waiting(&self) -> f64 {
        self.loader.waiting()
    }
}
