//! What the defaults of several stages have in common.

use crate::data::augment::{Augment, RandAugment};
use crate::train::{FitConfig, OptimizerKind, Schedule};

/// The training of a teacher.
pub(super) const FIT: FitConfig = FitConfig {
    steps: 1000,
    batch: 64,
    learning_rate: 3.2e-2,
    warmup: 0.05,
    schedule: Schedule::Cosine,
    optimizer: OptimizerKind::AdamW,
    momentum: 0.9,
    weight_decay: 0.02,
    clip: 0.0,
    ema: 0.995,
    label_smoothing: 0.1,
    dropout: 0.2,
    drop_path: 0.0,
    mixup: 0.0,
    cutmix: 0.0,
};

/// Shifts and mirror images.
pub(super) const WEAK: Augment = Augment::Weak {
    shift: 2,
    flip: true,
};

/// RandAugment and cutout besides.
pub(super) const STRONG: Augment = Augment::Strong {
    shift: 2,
    flip: true,
    rand_augment: RandAugment {
        operations: 2,
        magnitude: (1.0, 10.0),
        increasing: true,
        bilinear: false,
    },
    cutout: 8,
};
