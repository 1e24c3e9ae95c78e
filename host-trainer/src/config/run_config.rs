//! The typed configuration; every default is the quickstart's.

use pupil_core::plan::{Goal, Memory};
use serde::{Deserialize, Serialize};

use super::TransferConfig;
use crate::data::augment::{Augment, RandAugment};
use crate::data::fit::Fit;
use crate::methods::pretext::PretextTask;
use crate::methods::{Method, MethodsConfig};
use crate::net::{CompoundScaling, EfficientNetConfig, ImageNet, Variant};
use crate::nn::Activation;
use crate::train::{FitConfig, OptimizerKind, Schedule};

/// A whole run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunConfig {
    /// Fixes every random choice: the same seed gives the same packed bytes.
    pub seed: u64,
    /// Where the images come from.
    pub data: DataSource,
    /// How stage 3 learns from unlabeled images.
    pub method: Method,
    /// What the net of stage 1 learns from all images before it sees labels.
    pub pretext: PretextTask,
    /// A run directory or checkpoint whose trunk stage 1 begins with; empty for none.
    pub init: String,
    /// Teachers, and students of each round, whose mean answer is learned from.
    pub ensemble: usize,
    /// How the user's own images are read.
    pub images: ImagesConfig,
    /// What comes before the labels.
    pub transfer: TransferConfig,
    /// Stage 1.
    pub teacher: TeacherConfig,
    /// Stage 2.
    pub pseudo_labels: PseudoLabelsConfig,
    /// Stage 3.
    pub student: StudentConfig,
    /// Constants of the methods.
    pub methods: MethodsConfig,
    /// Stage 4.
    pub distill: DistillConfig,
    /// Stage 5.
    pub quantize: QuantizeConfig,
    /// Stage 6.
    pub pack: PackConfig,
}

/// Where images come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DataSource {
    /// The full Fashion-MNIST where Debian's package has installed it, else the bundled part.
    Auto,
    /// The bundled 10,000 images.
    Bundled,
    /// The user's own: class folders, a list, an archive, IDX or CIFAR files.
    Path(std::path::PathBuf),
}

impl TryFrom<String> for DataSource {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "" => Err("data is empty; say \"auto\", \"bundled\" or a path".into()),
            "auto" => Ok(Self::Auto),
            "bundled" => Ok(Self::Bundled),
            path => Ok(Self::Path(path.into())),
        }
    }
}

impl From<DataSource> for String {
    fn from(source: DataSource) -> Self {
        match source {
            DataSource::Auto => "auto".into(),
            DataSource::Bundled => "bundled".into(),
            DataSource::Path(path) => path.display().to_string(),
        }
    }
}

/// How the user's own images are read. The bundled set has its own size and split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImagesConfig {
    /// More images, without labels; empty for none.
    pub unlabeled: String,
    /// Height in pixels that the net sees; 0: chosen by the images.
    pub height: usize,
    /// Width in pixels; 0: chosen.
    pub width: usize,
    /// 1 grey, 3 RGB; 0: chosen.
    pub channels: usize,
    /// What to do with another aspect ratio.
    pub fit: Fit,
    /// Share of the labeled images that is watched, where the set brings no validation part.
    pub validation: f64,
    /// Share of the labeled images that is measured, where the set brings no test part.
    pub test: f64,
    /// Training images of a class that keep their label; 0 for all.
    pub labels_per_class: usize,
}

/// An EfficientNet.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetChoice {
    /// "tiny", which the next four keys shape, or a published net: "b0" to "b7", "lite0" to
    /// "lite4".
    pub family: NetFamily,
    /// Channels, relative to the tiny family's base net.
    pub width: f64,
    /// Blocks of each stage, relative to the tiny family's base net.
    pub depth: f64,
    /// Expanded over input channels in every block of a tiny net.
    pub expand_ratio: usize,
    /// Non-linearity of a tiny net's convolutions.
    pub activation: Activation,
    /// Stride of the first convolution: 2, or 1 to keep the detail of small images at four times
    /// the work.
    pub stem_stride: usize,
    /// Whether a published net keeps stride 1 in its second and third stage, for images of about
    /// 32 pixels.
    pub small_images: bool,
}

/// Where a net's shape comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum NetFamily {
    /// Nets of 20 k parameters and more for images of 28 to 96 pixels.
    Tiny,
    /// A published EfficientNet.
    Published(Variant),
}

impl TryFrom<String> for NetFamily {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == "tiny" {
            return Ok(Self::Tiny);
        }
        text.parse()
            .map(Self::Published)
            .map_err(|e| format!("{e}, and tiny"))
    }
}

impl From<NetFamily> for String {
    fn from(family: NetFamily) -> Self {
        match family {
            NetFamily::Tiny => "tiny".into(),
            NetFamily::Published(variant) => variant.word().into(),
        }
    }
}

impl NetChoice {
    /// The net for these images.
    pub fn resolve(&self, input: [usize; 3], classes: usize) -> EfficientNetConfig {
        let NetFamily::Published(variant) = self.family else {
            let scaling = CompoundScaling {
                width: self.width,
                depth: self.depth,
                resolution: 1.0,
            };
            let (expand_ratio, act) = (self.expand_ratio, self.activation);
            return EfficientNetConfig {
                stem_stride: self.stem_stride,
                ..EfficientNetConfig::tiny(input, classes, scaling, expand_ratio, act)
            };
        };
        variant.config(ImageNet {
            input,
            classes,
            stem_stride: self.stem_stride,
            small_images: self.small_images,
        })
    }

    /// "EfficientNet tiny, width 2", "EfficientNet tiny, width 1, depth 2" or "EfficientNet b0".
    pub fn title(&self) -> String {
        match self.family {
            NetFamily::Tiny if self.depth == 1.0 => {
                format!("EfficientNet tiny, width {}", self.width)
            }
            NetFamily::Tiny => format!(
                "EfficientNet tiny, width {}, depth {}",
                self.width, self.depth
            ),
            NetFamily::Published(variant) => format!("EfficientNet {variant}"),
        }
    }
}

/// Stage 1: a net on the labeled images alone.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TeacherConfig {
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
pub struct PseudoLabelsConfig {
    /// Images whose most probable class is less probable than this are left out.
    pub threshold: f32,
    /// Whether every class gets as many images as the others.
    pub balance: bool,
}

/// Stage 3: an equal or larger net on labels and unlabeled images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StudentConfig {
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
pub struct DistillConfig {
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
pub struct QuantizeConfig {
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
pub enum MemorySchedule {
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
pub struct PackConfig {
    /// How layers run.
    pub schedule: MemorySchedule,
    /// Bytes of the arena, where `schedule` is `within`.
    pub arena: usize,
    /// Whether the student may read a frame row by row, as a camera delivers it.
    pub frame_by_rows: bool,
}

impl PackConfig {
    /// What the planner is asked for.
    pub fn memory(&self) -> Memory {
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

const WIDE: NetChoice = NetChoice {
    family: NetFamily::Tiny,
    width: 2.0,
    depth: 1.0,
    expand_ratio: 4,
    activation: Activation::Silu,
    stem_stride: 2,
    small_images: false,
};

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

pub(super) const WEAK: Augment = Augment::Weak {
    shift: 2,
    flip: true,
};

const STRONG: Augment = Augment::Strong {
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

impl Default for RunConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            data: DataSource::Auto,
            method: Method::Uda,
            pretext: PretextTask::None,
            init: String::new(),
            ensemble: 1,
            images: ImagesConfig::default(),
            transfer: TransferConfig::default(),
            teacher: TeacherConfig::default(),
            pseudo_labels: PseudoLabelsConfig::default(),
            student: StudentConfig::default(),
            methods: MethodsConfig::default(),
            distill: DistillConfig::default(),
            quantize: QuantizeConfig::default(),
            pack: PackConfig::default(),
        }
    }
}

impl Default for ImagesConfig {
    fn default() -> Self {
        Self {
            unlabeled: String::new(),
            height: 0,
            width: 0,
            channels: 0,
            fit: Fit::Crop,
            validation: 0.2,
            test: 0.2,
            labels_per_class: 0,
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

impl Default for NetChoice {
    fn default() -> Self {
        WIDE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_and_strides_reach_the_net() {
        let tiny = WIDE.resolve([32, 32, 3], 10);
        assert_eq!(tiny.stem_stride, 2);
        let fine = NetChoice {
            stem_stride: 1,
            ..WIDE
        };
        let fine = fine.resolve([32, 32, 3], 10);
        assert_eq!(fine.stem_stride, 1);
        assert_eq!(fine.parameters(), tiny.parameters());
        let b0 = NetChoice {
            family: NetFamily::Published(Variant::B0),
            small_images: true,
            ..WIDE
        };
        let strides =
            |net: &EfficientNetConfig| net.blocks.iter().filter(|b| b.stride == 2).count();
        let net = b0.resolve([32, 32, 3], 10);
        assert_eq!((strides(&net), net.blocks.len()), (2, 16));
        assert_eq!(b0.title(), "EfficientNet b0");
    }

    #[test]
    fn a_title_names_the_depth_that_is_not_the_base_nets() {
        let title = |depth| NetChoice { depth, ..WIDE }.title();
        assert_eq!(title(1.0), "EfficientNet tiny, width 2");
        assert_eq!(title(1.5), "EfficientNet tiny, width 2, depth 1.5");
    }

    #[test]
    fn families_have_words_in_files() {
        for text in ["tiny", "b0", "b7", "lite4"] {
            let family = NetFamily::try_from(text.to_owned()).unwrap();
            assert_eq!(String::from(family), text);
        }
        let error = NetFamily::try_from("b8".to_owned()).unwrap_err();
        assert!(error.contains("lite4, and tiny"), "{error}");
    }
}
