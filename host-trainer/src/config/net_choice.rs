//! Which net a stage trains.

use serde::{Deserialize, Serialize};

use crate::net::{CompoundScaling, EfficientNetConfig, ImageNet, Variant};
use crate::nn::Activation;

/// An EfficientNet.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NetChoice {
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
    pub(crate) fn resolve(&self, input: [usize; 3], classes: usize) -> EfficientNetConfig {
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
    pub(crate) fn title(&self) -> String {
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

/// The teacher's and the student's.
pub(super) const WIDE: NetChoice = NetChoice {
    family: NetFamily::Tiny,
    width: 2.0,
    depth: 1.0,
    expand_ratio: 4,
    activation: Activation::Silu,
    stem_stride: 2,
    small_images: false,
};

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
