//! A small net follows a larger one's answers on all images (Hinton et al., arXiv 1503.02531).
//!
//! Either the larger one sees the same changed image at every step, or it answers a number of
//! changed views of each image beforehand, and the mean is learned whatever the small net sees:
//! the mean over views is right more often than one answer, and costs nothing per step.

use burn::tensor::{Device, Tensor};

use super::one_set::OneSet;
use crate::data::batch::Normalization;
use crate::data::{Augment, Images};
use crate::model::Classifier;
use crate::nn::noise::Pass;
use crate::train::evaluate::{Views, mean_probabilities};
use crate::train::fit::{FitConfig, Objective};
use crate::train::loss::{distillation, distillation_from, rows};

/// What is learned.
enum Answers<T> {
    /// Those of a net for the same changed image.
    Asked(T),
    /// Probabilities at the temperature `[images, classes]`.
    Kept(Vec<f32>),
}

/// Learning from a net.
pub struct Distillation<T> {
    set: OneSet,
    answers: Answers<T>,
    temperature: f32,
    /// The training device without its graph.
    device: Device,
}

impl<T: Classifier> Distillation<T> {
    /// From step `first` on; `teacher` answers without noise at `temperature`, for the changed
    /// image itself or, where there are `views`, for as many of each image beforehand.
    ///
    /// Kept answers take 4 bytes an image and class.
    pub fn new(
        images: Images,
        teacher: &T,
        (temperature, views): (f32, usize),
        (augment, normalization): (Augment, Normalization),
        fit: &FitConfig,
        (seed, first): (u64, u64),
        device: &Device,
    ) -> Self {
        let answers = match views {
            0 => Answers::Asked(teacher.valid()),
            count => {
                let views = Views {
                    count,
                    augment,
                    seed: !seed,
                };
                let all = mean_probabilities(teacher, &images, &normalization, views, temperature);
                Answers::Kept(all)
            }
        };
        let changes = (augment, normalization);
        Self {
            set: OneSet::new(images, (fit.batch, "all"), changes, (seed, first)),
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
