//! A small net follows a larger one's answers on all images (Hinton et al., arXiv 1503.02531); the
//! larger one sees the same changed image.

use burn::tensor::{Device, Tensor};

use crate::data::batch::Normalization;
use crate::data::{Augment, BatchSampler, Feed, Images, Loader};
use crate::model::Classifier;
use crate::nn::noise::Pass;
use crate::train::fit::{FitConfig, Objective};
use crate::train::loss::distillation;

/// Learning from a net.
pub struct Distillation<T> {
    loader: Loader,
    teacher: T,
    images: Images,
    temperature: f32,
    device: Device,
    last: Vec<usize>,
}

impl<T: Classifier> Distillation<T> {
    /// From step `first` on; `teacher` answers without noise at `temperature`.
    pub fn new(
        images: Images,
        teacher: &T,
        temperature: f32,
        (augment, normalization): (Augment, Normalization),
        fit: &FitConfig,
        (seed, first): (u64, u64),
        device: &Device,
    ) -> Self {
        let feed = Feed {
            sampler: BatchSampler::new(seed, "all", images.len()),
            images: images.clone(),
            count: fit.batch,
            entries: None,
            views: vec![augment],
            seed,
        };
        Self {
            loader: Loader::new(vec![feed], normalization, first),
            teacher: teacher.valid(),
            images,
            temperature,
            device: device.clone(),
            last: Vec::new(),
        }
    }
}

impl<N: Classifier, T: Classifier> Objective<N> for Distillation<T> {
    fn loss(&mut self, net: &N, _step: u64, pass: &mut Pass<'_>) -> Tensor<1> {
        let mut loaded = self.loader.next_batch().remove(0);
        let x = loaded.view(0, &self.device.clone().inner());
        self.last = loaded.indices;
        let taught = self.teacher.forward(x.clone(), &mut Pass::Evaluate);
        let (x, taught) = (Tensor::from_inner(x), Tensor::from_inner(taught));
        distillation(net.forward(x, pass), taught, self.temperature)
    }

    fn images(&self) -> Vec<String> {
        self.last.iter().map(|i| self.images.name(*i)).collect()
    }

    fn waiting(&self) -> f64 {
        self.loader.waiting()
    }
}
