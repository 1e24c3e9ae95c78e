//! A noised student on labels and pseudo-labels together (Noisy Student step 3, arXiv 1911.04252).
//!
//! Loss: mean cross-entropy of the labeled images plus mean cross-entropy of the unlabeled ones
//! against the teacher's soft labels (not smoothed). Both go through the net as one batch.

use burn::tensor::Tensor;

use super::two_sets::{Setup, TwoSets, slice};
use crate::methods::selection::PseudoLabels;
use crate::net::Classifier;
use crate::nn::noise::Pass;
use crate::train::fit::Objective;
use crate::train::loss::{rows, soft_cross_entropy};

/// Learning from labels and an earlier net's answers.
pub(crate) struct NoisyStudent<'a> {
    sets: TwoSets<'a>,
    /// Soft labels of all unlabeled images, `[images, classes]`.
    soft: &'a [f32],
}

impl<'a> NoisyStudent<'a> {
    /// As `setup` says, on the images that `pseudo` lists.
    pub(crate) fn new(setup: &Setup<'a>, pseudo: &'a PseudoLabels) -> Self {
        let entries = Some(pseudo.indices.clone());
        let pool = setup.data.unlabeled.clone();
        Self {
            sets: TwoSets::of_pool(setup, vec![setup.strong], pool, entries),
            soft: &pseudo.probabilities,
        }
    }
}

impl<N: Classifier> Objective<N> for NoisyStudent<'_> {
    fn loss(&mut self, net: &N, step: u64, pass: &mut Pass<'_>) -> Tensor<1> {
        let mut images = self.sets.next(step);
        let (n, classes) = (images.classes.len(), self.sets.classes());
        let all = n + images.unlabeled.len();
        let soft = rows(self.soft, &images.unlabeled, classes, self.sets.device());
        let both = vec![images.labeled, images.views.remove(0)];
        let logits = net.forward(Tensor::cat(both, 0), pass);
        soft_cross_entropy(slice(&logits, 0, n), images.targets)
            + soft_cross_entropy(slice(&logits, n, all), soft)
    }

    fn images(&self) -> Vec<String> {
        self.sets.images()
    }

    fn waiting(&self) -> f64 {
        self.sets.waiting()
    }
}
