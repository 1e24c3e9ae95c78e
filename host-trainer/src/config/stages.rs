//! The settings of the six stages.

use pupil_packer::plan::{Goal, Memory};
use serde::{Deserialize, Serialize};

use super::defaults::{FIT, STRONG, WEAK};
use super::net_choice::{NetChoice, WIDE};
use crate::data::augment::{Augment, RandAugment};
use crate::train::FitConfig;

/// Stage 1: a net on the labeled images alone.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TeacherConfig {
    /// The net.
    pub net: NetChoice,
    /// Training.
    pub fit: FitConfig,
    /// Changes to its images.
    pub augment: Augment,
}

/// Stage 2: what the teacher says about unlabeled images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct PseudoLabelsConfig {
    /// Images whose most probable class is less probable than this are left out.
    pub threshold: f32,
    /// Whether every class gets as many images as the others.
    pub balance: bool,
}

/// Stage 3: an equal or larger net on labels and unlabeled images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct StudentConfig {
    /// The net; not smaller than the teacher's.
    pub net: NetChoice,
    /// Training.
    pub fit: FitConfig,
    /// Changes to its images.
    pub augment: Augment,
    /// Unlabeled images of a batch for each labeled one.
    pub unlabeled_ratio: usize,
    /// Students one after the other: the second learns from the first one's answers, by Noisy
    /// Student, and so on.
    pub rounds: usize,
    /// Updates of the second and later rounds; 0 for as many as the first.
    pub later_steps: u64,
    /// Whether the first round goes on from the teacher's weights; the nets must be equal.
    pub warm_start: bool,
    /// Changes to the unlabeled images that uda, fixmatch and meta-pseudo-labels take targets
    /// from.
    pub weak: Augment,
}

/// Stage 4: the net for the chip, taught by the student on all images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DistillConfig {
    /// The net.
    pub net: NetChoice,
    /// Training.
    pub fit: FitConfig,
    /// Changes to its images. With `views` 0 the student answers the same changed image; else its
    /// kept answers are to other draws of these changes, and to the unchanged image.
    pub augment: Augment,
    /// Softens both answers (arXiv 1503.02531).
    pub temperature: f32,
    /// Views of each image, the unchanged one among them, whose mean answer is kept and taught
    /// whatever the small net sees; 0 for the student's answer to the very image that it sees.
    pub views: usize,
    /// Training of the same net on the labels alone, the baseline of the final table.
    pub labels_only: FitConfig,
    /// Changes to the baseline's images.
    pub labels_only_augment: Augment,
}

/// Stage 5: int8.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct QuantizeConfig {
    /// Training images whose activations set the ranges.
    pub calibration_images: usize,
    /// Share of each activation's values that the range leaves out at either end.
    pub clip: f64,
    /// Most points of test accuracy that int8 may lose; more is reported with exit code 1.
    pub max_drop: f64,
}

/// How the packed student uses the chip's memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum MemorySchedule {
    /// One layer after the other: the fewest instructions.
    #[default]
    LayerByLayer,
    /// The fewest instructions in an arena of `arena` bytes.
    Within,
    /// The smallest arena.
    Smallest,
}

/// Stage 6: the packed student.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct PackConfig {
    /// How layers run.
    pub schedule: MemorySchedule,
    /// Bytes of the arena, where `schedule` is `within`.
    pub arena: usize,
    /// Whether the student may read a frame row by row, as a camera delivers it.
    pub frame_by_rows: bool,
}

impl PackConfig {
    /// What the planner is asked for.
    pub(crate) fn memory(&self) -> Memory {
        Memory {
            goal: match self.schedule {
                MemorySchedule::LayerByLayer => Goal::LayerByLayer,
                MemorySchedule::Within => Goal::Within(self.arena),
                MemorySchedule::Smallest => Goal::Smallest,
            },
            frame_by_rows: self.frame_by_rows,
        }
    }
}

impl Default for TeacherConfig {
    fn default() -> Self {
        Self {
            net: WIDE,
            fit: FIT,
            augment: STRONG,
        }
    }
}

impl Default for PseudoLabelsConfig {
    fn default() -> Self {
        Self {
            threshold: 0.3,
            balance: true,
        }
    }
}

impl Default for StudentConfig {
    fn default() -> Self {
        Self {
            net: WIDE,
            // Few steps allow less noise in the images than the paper's: one operation.
            fit: FitConfig {
                steps: 1250,
                batch: 96,
                learning_rate: 8e-3,
                weight_decay: 0.1,
                ema: 0.998,
                dropout: 0.3,
                ..FIT
            },
            augment: Augment::Strong {
                shift: 2,
                flip: true,
                rand_augment: RandAugment {
                    operations: 1,
                    magnitude: (1.0, 10.0),
                    increasing: true,
                    bilinear: false,
                },
                cutout: 0,
            },
            unlabeled_ratio: 1,
            rounds: 1,
            later_steps: 0,
            warm_start: true,
            weak: WEAK,
        }
    }
}

impl Default for DistillConfig {
    fn default() -> Self {
        let fit = FitConfig {
            steps: 1700,
            dropout: 0.0,
            label_smoothing: 0.0,
            ..FIT
        };
        Self {
            net: NetChoice { width: 1.0, ..WIDE },
            fit,
            augment: WEAK,
            temperature: 2.0,
            views: 0,
            labels_only: FitConfig { steps: 1700, ..FIT },
            labels_only_augment: STRONG,
        }
    }
}

impl Default for QuantizeConfig {
    fn default() -> Self {
        Self {
            calibration_images: 500,
            clip: 1e-4,
            max_drop: 1.0,
        }
    }
}
