//! A small set, a linear net, and a training for the methods' tests.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};

use super::two_sets::Setup;
use crate::data::batch::Normalization;
use crate::data::{Augment, Dataset, Images, Labeled};
use crate::net::Classifier;
use crate::nn::noise::Pass;
use crate::nn::values::{Named, collect};
use crate::train::epoch::Epoch;
use crate::train::fit::{FitConfig, Objective, Watch, fit};
use crate::train::{OptimizerKind, Schedule};

/// Logits that are linear in the pixels.
#[derive(Module, Debug)]
pub(crate) struct Linear {
    /// `[pixels, classes]`.
    pub weight: Param<Tensor<2>>,
}

impl Linear {
    /// Weights from `seed`, alike for equal seeds.
    pub(crate) fn new(pixels: usize, classes: usize, seed: usize) -> Self {
        let value = |i: usize| ((i * 37 + seed * 101) % 61) as f32 / 61.0 - 0.5;
        let weight = (0..pixels * classes).map(value).collect();
        let device = Device::flex().autodiff();
        let weight: Tensor<2> = Tensor::from_data(
            TensorData::new::<f32, _>(weight, [pixels, classes]),
            &device,
        );
        Self {
            weight: Param::from_tensor(weight.require_grad()),
        }
    }
}

impl Classifier for Linear {
    fn forward(&self, x: Tensor<4>, pass: &mut Pass<'_>) -> Tensor<2> {
        let [n, h, w, c] = x.dims();
        pass.dropout(x.reshape([n, h * w * c]))
            .matmul(self.weight.val())
    }
}

/// 4x4 images of three classes: a bright row each, under noise.
pub(crate) fn data() -> Dataset {
    let set = |count: usize, from: usize| {
        let pixel = |i: usize, p: usize| {
            let bright = if p / 4 == i % 3 { 90 } else { 0 };
            (60 + bright + (i + from) * 31 * (p + 3) % 71) as u8
        };
        let pixels = (0..count * 16).map(|k| pixel(k / 16, k % 16)).collect();
        Labeled {
            images: Images::new([4, 4, 1], pixels),
            labels: (0..count).map(|i| (i % 3) as u8).collect(),
        }
    };
    Dataset {
        source: "rows".into(),
        classes: ["first", "second", "third"].map(String::from).to_vec(),
        labeled: set(12, 0),
        validation: set(3, 40),
        unlabeled: set(30, 50).images,
        test: set(30, 90),
    }
}

/// Twelve images a step, three of them labeled, no noise.
pub(crate) fn training(steps: u64) -> FitConfig {
    FitConfig {
        steps,
        batch: 12,
        learning_rate: 0.02,
        warmup: 0.05,
        schedule: Schedule::Cosine,
        optimizer: OptimizerKind::AdamW,
        momentum: 0.9,
        weight_decay: 0.01,
        clip: 0.0,
        ema: 0.9,
        label_smoothing: 0.1,
        dropout: 0.0,
        drop_path: 0.0,
        mixup: 0.0,
        cutmix: 0.0,
    }
}

/// Changes to the images that learn; a shift would move one class onto another.
pub(crate) const STRONG: Augment = Augment::Weak {
    shift: 0,
    flip: true,
};

/// A training of `fit` on `data`, from step `first` on.
pub(crate) fn setup<'a>(data: &'a Dataset, fit: &'a FitConfig, first: u64) -> Setup<'a> {
    Setup {
        data,
        normalization: Normalization::around(90),
        fit,
        unlabeled_ratio: 3,
        strong: STRONG,
        weak: Augment::None,
        seed: 7,
        first,
        device: Device::flex().autodiff(),
    }
}

/// Nobody watches.
pub(crate) struct Nobody;

impl<N> Watch<N> for Nobody {
    fn validate(&mut self, _: &N) -> f64 {
        0.0
    }

    fn report(&mut self, _: u64, _: Option<&Epoch>) {}
}

/// The numbers of `net` after a training.
pub(crate) fn trained<N: Classifier>(
    net: N,
    config: &FitConfig,
    objective: &mut dyn Objective<N>,
) -> Vec<Named> {
    let fitted = fit(net, config, (1, "noise"), objective, &mut Nobody).unwrap();
    collect(&fitted.net)
}
