//! Labeled images of a step: smoothed targets, mixed pairs.

use burn::tensor::{Device, Tensor, TensorData};

use crate::data::loader::Loaded;
use crate::train::FitConfig;
use crate::train::loss::smoothed;
use crate::train::mix::Pairs;
use crate::util::random::stream;

/// What becomes of a step's labeled images.
#[derive(Clone, Debug)]
pub(crate) struct Labels<'a> {
    /// Class of each image of the set.
    pub labels: &'a [u8],
    /// Number of classes.
    pub classes: usize,
    /// Smoothing and mixing.
    pub fit: &'a FitConfig,
    /// Fixes what is mixed.
    pub seed: u64,
    /// Where tensors live.
    pub device: Device,
}

impl Labels<'_> {
    /// View `view` `[n, h, w, c]` and target distributions `[n, classes]` of step `step`.
    pub(crate) fn batch(
        &self,
        loaded: &mut Loaded,
        view: usize,
        step: u64,
    ) -> (Tensor<4>, Tensor<2>) {
        let labels: Vec<u8> = loaded.indices.iter().map(|i| self.labels[*i]).collect();
        let mut targets = smoothed(&labels, self.classes, self.fit.label_smoothing);
        let mut pairs = Pairs {
            images: &mut loaded.values[view],
            dims: loaded.dims,
            targets: &mut targets,
            classes: self.classes,
        };
        let mix = self.fit.mix();
        mix.apply(&mut pairs, &mut stream(self.seed, "mix", step));
        let targets = TensorData::new(targets, [labels.len(), self.classes]);
        (
            loaded.view(view, &self.device),
            Tensor::from_data(targets, &self.device),
        )
    }
}
