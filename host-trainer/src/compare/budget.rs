//! What every training of a comparison gets.

use serde::{Deserialize, Serialize};

use crate::data::Augment;
use crate::train::Schedule;
use crate::train::mix::Mix;
use crate::train::optimizer::{AdamW, OptimizerConfig, RmsProp, Sgd};

/// Steps, optimizer and noise of one training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// Updates of the weights.
    pub steps: u64,
    /// Images of a step.
    pub batch: usize,
    /// Peak rate, after a warm-up of 5 % of the steps.
    pub learning_rate: f64,
    /// Largest norm of all gradients together; none where 0.
    pub clip: f64,
    /// Decay of the weights' moving average.
    pub ema: f64,
    /// Share of label mass spread over all classes.
    pub label_smoothing: f32,
    /// Dropout before the classifier.
    pub dropout: f32,
    /// How the rate falls.
    pub schedule: Schedule,
    /// Pairs of images mixed with each other.
    pub mix: Mix,
    /// The optimizer.
    pub optimizer: OptimizerConfig,
    /// Changes to the images.
    pub augment: Augment,
}

/// An optimizer by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum OptimizerKind {
    /// Adam with decoupled weight decay.
    #[value(name = "adamw")]
    AdamW,
    /// Gradient descent with Nesterov's momentum.
    Sgd,
    /// TensorFlow's RMSProp.
    RmsProp,
}

/// A schedule by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ScheduleKind {
    /// The peak rate throughout.
    Constant,
    /// Half a cosine, to zero.
    Cosine,
    /// cos(7π t / 16).
    CosineSevenSixteenths,
    /// 0.97 for each 1/140 of the steps: EfficientNet's 350 epochs in stairs of 2.4.
    ExponentialStaircase,
}

/// A way of mixing by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum MixKind {
    /// None.
    None,
    /// Whole images, α = 0.2.
    Mixup,
    /// Rectangles, α = 1.
    #[value(name = "cutmix")]
    CutMix,
}

impl OptimizerKind {
    /// With the constants that fit short trainings, and a peak rate to go with them.
    pub fn config(self) -> (OptimizerConfig, f64) {
        match self {
            Self::AdamW => {
                let adamw = AdamW {
                    weight_decay: 0.02,
                    ..AdamW::default()
                };
                (OptimizerConfig::AdamW(adamw), 4e-3)
            }
            Self::Sgd => {
                let sgd = Sgd {
                    weight_decay: 5e-4,
                    ..Sgd::default()
                };
                (OptimizerConfig::Sgd(sgd), 0.05)
            }
            Self::RmsProp => {
                let rms_prop = RmsProp {
                    weight_decay: 1e-5,
                    ..RmsProp::default()
                };
                (OptimizerConfig::RmsProp(rms_prop), 4e-3)
            }
        }
    }
}

impl ScheduleKind {
    /// For a training of `steps`.
    pub fn schedule(self, steps: u64) -> Schedule {
        match self {
            Self::Constant => Schedule::Constant,
            Self::Cosine => Schedule::Cosine,
            Self::CosineSevenSixteenths => Schedule::CosineSevenSixteenths,
            Self::ExponentialStaircase => Schedule::ExponentialStaircase {
                decay: 0.97,
                every: steps.div_ceil(140).max(1),
            },
        }
    }
}

impl MixKind {
    /// With the papers' α.
    pub fn mix(self) -> Mix {
        match self {
            Self::None => Mix::None,
            Self::Mixup => Mix::Mixup { alpha: 0.2 },
            Self::CutMix => Mix::CutMix { alpha: 1.0 },
        }
    }
}
