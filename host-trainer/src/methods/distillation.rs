//! A small net follows a larger one's answers on all images (Hinton et al., arXiv 1503.02531); the
//! larger one sees the same changed image.

use burn::tensor::{Device, Tensor};

use super::one_set::OneSet;
use crate::data::batch::Normalization;
use crate::data::{Augment, Images};
use crate::model::Classifier;
use crate::nn::noise::Pass;
use crate::train::fit::{FitConfig, Objective};
use crate::train::loss::distillation;

/// Learning from a net.
pub struct Distillation<T> {
    set: OneSet,
    teacher: T,
    temperature: f32,
    /// The training device without its graph.
    device: Device,
}

impl<T: Classifier> Distillation<T> {
    /// From step `first` on; `teacher` answers without noise at `temperature`.
    pub fn new(
        images: Images,
        teacher: &T,
        temperature: f32,
        changes: (Augment, Normalization),
        fit: &FitConfig,
        start: (u64, u64),
        device: &Device,
    ) -> Self {
        Self {
            set: OneSet::new(images, (fit.batch, "all"), changes, start),
            teacher: teacher.valid(),
            temperature,
            device: device.clone().inner(),
        }
    }
}

impl<N: Classifier, T: Classifier> Objective<N> for Distillation<T> {
    fn loss(&mut self, net: &N, _step: u64, pass: &mut Pass<'_>) -> Tensor<1> {
        let x = self.set.next_batch().view(0, &self.device);
        let taught = self.teacher.forward(x.clone(), &mut Pass::Evaluate);
        let (x, taught) = (Tensor::from_inner(x), Tensor::from_inner(taught));
        distillation(net.forward(x, pass), taught, self.temperature)
    }

    fn images(&self) -> Vec<String> {
        self.set.names()
    }

    fn waiting(&self) -> f64 {
        self.set.waiting()
    }
}
