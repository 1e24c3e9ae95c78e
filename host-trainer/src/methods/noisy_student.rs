//! A noised student on labels and pseudo-labels together (Noisy Student step 3, arXiv 1911.04252).
//!
//! Loss: mean cross-entropy of the labeled images plus mean cross-entropy of the unlabeled ones
//! against the teacher's soft labels (not smoothed). Both go through the net as one batch.

use burn::tensor::{Device, Tensor};

use super::labeled::Labels;
use crate::data::batch::Normalization;
use crate::data::{Augment, BatchSampler, Dataset, Feed, Loader};
use crate::model::Classifier;
use crate::nn::noise::Pass;
use crate::stages::pseudo_labels::PseudoLabels;
use crate::train::fit::{FitConfig, Objective};
use crate::train::loss::{rows, soft_cross_entropy};

/// Learning from labels and an earlier net's answers.
pub struct NoisyStudent<'a> {
    loader: Loader,
    labels: Labels<'a>,
    data: &'a Dataset,
    pseudo: &'a PseudoLabels,
    last: [Vec<usize>; 2],
}

impl<'a> NoisyStudent<'a> {
    /// From step `first` on, with `unlabeled_ratio` unlabeled images for each labeled one.
    pub fn new(
        data: &'a Dataset,
        pseudo: &'a PseudoLabels,
        (augment, normalization): (Augment, Normalization),
        (fit, unlabeled_ratio): (&'a FitConfig, usize),
        (seed, first): (u64, u64),
        device: &Device,
    ) -> Self {
        let labeled_count = (fit.batch / (1 + unlabeled_ratio)).max(1);
        let set = &data.labeled;
        let feeds = vec![
            Feed {
                images: set.images.clone(),
                sampler: BatchSampler::new(seed, "labeled", set.labels.len()),
                count: labeled_count,
                entries: None,
                views: vec![augment],
                seed,
            },
            Feed {
                images: data.unlabeled.clone(),
                sampler: BatchSampler::new(seed, "unlabeled", pseudo.indices.len()),
                count: fit.batch - labeled_count,
                entries: Some(pseudo.indices.clone()),
                views: vec![augment],
                seed: seed.wrapping_add(1),
            },
        ];
        let labels = Labels {
            labels: &set.labels,
            classes: data.classes.len(),
            fit,
            seed,
            device: device.clone(),
        };
        Self {
            loader: Loader::new(feeds, normalization, first),
            labels,
            data,
            pseudo,
            last: Default::default(),
        }
    }
}

impl<N: Classifier> Objective<N> for NoisyStudent<'_> {
    fn loss(&mut self, net: &N, step: u64, pass: &mut Pass<'_>) -> Tensor<1> {
        let mut loaded = self.loader.next_batch();
        let (classes, device) = (self.labels.classes, self.labels.device.clone());
        let (x, targets) = self.labels.batch(&mut loaded[0], 0, step);
        let unlabeled = loaded[1].view(0, &device);
        self.last = [0, 1].map(|i| loaded[i].indices.clone());
        let [with_label, without] = &self.last;
        let soft = rows(&self.pseudo.probabilities, without, classes, &device);
        let logits = net.forward(Tensor::cat(vec![x, unlabeled], 0), pass);
        let n = with_label.len();
        let all = n + without.len();
        soft_cross_entropy(logits.clone().slice([0..n, 0..classes]), targets)
            + soft_cross_entropy(logits.slice([n..all, 0..classes]), soft)
    }

    fn images(&self) -> Vec<String> {
        let [with_label, without] = &self.last;
        let labeled = with_label.iter().map(|i| self.data.labeled.images.name(*i));
        let unlabeled = without.iter().map(|i| self.data.unlabeled.name(*i));
        labeled.chain(unlabeled).collect()
    }

    fn waiting(&self) -> f64 {
        self.loader.waiting()
    }
}
