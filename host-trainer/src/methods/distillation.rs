//! A small net follows a larger one's answers on all images (Hinton et al., arXiv 1503.02531).
//!
//! Either the larger one sees the same changed image at every step, or it answers a number of
//! changed views of each image beforehand, and the mean is learned whatever the small net sees:
//! the mean over views is right more often than one answer, and costs nothing per step.

use burn::tensor::{Device, Tensor};

use super::one_set::OneSet;
use crate::data::batch::Normalization;
use crate::data::{Augment, Images};
use crate::net::Classifier;
use crate::nn::noise::Pass;
use crate::train::fit::Objective;
use crate::train::loss::{distillation, distillation_from, rows};

/// What is learned.
pub(crate) enum Answers<T> {
    /// Those of a net, without noise, for the same changed image.
    Asked(T),
    /// Probabilities at the temperature `[images, classes]`, whatever change the small net sees.
    Kept(Vec<f32>),
}

/// Learning from a net.
pub(crate) struct Distillation<T> {
    set: OneSet,
    answers: Answers<T>,
    temperature: f32,
    /// The training device without its graph.
    device: Device,
}

impl<T: Classifier> Distillation<T> {
    /// From step `first` on; `answers` are for `images`, at `temperature`.
    pub(crate) fn new(
        images: Images,
        (answers, temperature): (Answers<T>, f32),
        changes: (Augment, Normalization),
        batch: usize,
        (seed, first): (u64, u64),
        device: &Device,
    ) -> Self {
        let answers = match answers {
            Answers::Asked(teacher) => Answers::Asked(teacher.valid()),
            kept @ Answers::Kept(_) => kept,
        };
        Self {
            set: OneSet::new(images, (batch, "all"), changes, (seed, first)),
            answers,
            temperature,
            device: device.clone().inner(),
        }
    }
}

impl<N: Classifier, T: Classifier> Objective<N> for Distillation<T> {
    fn loss(&mut self, net: &N, _step: u64, pass: &mut Pass<'_>) -> Tensor<1> {
        let mut loaded = self.set.next_batch();
        let x = loaded.view(0, &self.device);
        match &self.answers {
            Answers::Asked(teacher) => {
                let taught = teacher.forward(x.clone(), &mut Pass::Evaluate);
                let (x, taught) = (Tensor::from_inner(x), Tensor::from_inner(taught));
                distillation(net.forward(x, pass), taught, self.temperature)
            }
            Answers::Kept(all) => {
                let logits = net.forward(Tensor::from_inner(x), pass);
                let classes = logits.dims()[1];
                let target = rows(all, &loaded.indices, classes, &logits.device());
                distillation_from(logits, target, self.temperature)
            }
        }
    }

    fn images(&self) -> Vec<String> {
        self.set.names()
    }

    fn waiting(&self) -> f64 {
        self.set.waiting()
    }
}
