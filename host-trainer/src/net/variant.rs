//! The published EfficientNets: B0 to B7 (arXiv 1905.11946, table 1 and the reference code's
//! hand-rounded coefficients) and lite0 to lite4, made for accelerators without
//! squeeze-and-excitation.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use super::efficientnet::EfficientNetConfig;
use super::scaling::CompoundScaling;
use crate::nn::Activation;
use crate::nn::mbconv::MbConvConfig;

/// A member of the family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Variant {
    B0,
    B1,
    B2,
    B3,
    B4,
    B5,
    B6,
    B7,
    Lite0,
    Lite1,
    Lite2,
    Lite3,
    Lite4,
}

/// What the net is for: the published nets are for ImageNet, 224 pixels and more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageNet {
    /// Input height, width and channels; the variant's own resolution is
    /// [`Variant::resolution`].
    pub input: [usize; 3],
    /// Classes.
    pub classes: usize,
    /// Stride of the stem, 2 as published; 1 keeps the detail of images of 28 to 64 pixels.
    pub stem_stride: usize,
    /// Stride 1 instead of 2 in the second and third stage, as the reference code does for 32
    /// pixels (`small_image_model`).
    pub small_images: bool,
}

/// Stages of B0: repeats, kernel, stride, expand ratio, channels.
const STAGES: [(usize, usize, usize, usize, usize); 7] = [
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
];

/// Channels of B0's stem and head.
const STEM_HEAD: (usize, usize) = (32, 1280);

impl Variant {
    /// All, by size.
    pub const ALL: [Self; 13] = [
        Self::B0,
        Self::B1,
        Self::B2,
        Self::B3,
        Self::B4,
        Self::B5,
        Self::B6,
        Self::B7,
        Self::Lite0,
        Self::Lite1,
        Self::Lite2,
        Self::Lite3,
        Self::Lite4,
    ];

    /// "b0", "lite4".
    pub fn word(self) -> &'static str {
        match self {
            Self::B0 => "b0",
            Self::B1 => "b1",
            Self::B2 => "b2",
            Self::B3 => "b3",
            Self::B4 => "b4",
            Self::B5 => "b5",
            Self::B6 => "b6",
            Self::B7 => "b7",
            Self::Lite0 => "lite0",
            Self::Lite1 => "lite1",
            Self::Lite2 => "lite2",
            Self::Lite3 => "lite3",
            Self::Lite4 => "lite4",
        }
    }

    /// Input height and width of the published net.
    pub fn resolution(self) -> usize {
        match self {
            Self::B0 | Self::Lite0 => 224,
            Self::B1 | Self::Lite1 => 240,
            Self::B2 | Self::Lite2 => 260,
            Self::Lite3 => 280,
            Self::B3 | Self::Lite4 => 300,
            Self::B4 => 380,
            Self::B5 => 456,
            Self::B6 => 528,
            Self::B7 => 600,
        }
    }

    /// Multipliers of width, depth and resolution over B0.
    pub fn scaling(self) -> CompoundScaling {
        let (width, depth) = match self {
            Self::B0 | Self::Lite0 => (1.0, 1.0),
            Self::B1 | Self::Lite1 => (1.0, 1.1),
            Self::B2 | Self::Lite2 => (1.1, 1.2),
            Self::B3 | Self::Lite3 => (1.2, 1.4),
            Self::B4 | Self::Lite4 => (1.4, 1.8),
            Self::B5 => (1.6, 2.2),
            Self::B6 => (1.8, 2.6),
            Self::B7 => (2.0, 3.1),
        };
        CompoundScaling {
            width,
            depth,
            resolution: self.resolution() as f64 / 224.0,
        }
    }

    /// Whether it is a lite net: no squeeze-and-excitation, ReLU6, and stem, head, first and
    /// last stage unscaled.
    pub fn is_lite(self) -> bool {
        matches!(
            self,
            Self::Lite0 | Self::Lite1 | Self::Lite2 | Self::Lite3 | Self::Lite4
        )
    }

    /// Dropout before the classifier in the published training.
    pub fn dropout(self) -> f32 {
        match self {
            Self::B0 | Self::B1 | Self::Lite0 | Self::Lite1 => 0.2,
            Self::B2 | Self::B3 | Self::Lite2 | Self::Lite3 | Self::Lite4 => 0.3,
            Self::B4 | Self::B5 => 0.4,
            Self::B6 | Self::B7 => 0.5,
        }
    }

    /// The published net: 1000 classes, RGB, its own resolution.
    pub fn published(self) -> EfficientNetConfig {
        self.config(ImageNet {
            input: [self.resolution(), self.resolution(), 3],
            classes: 1000,
            stem_stride: 2,
            small_images: false,
        })
    }

    /// The net for other images.
    pub fn config(self, images: ImageNet) -> EfficientNetConfig {
        let (scaling, lite) = (self.scaling(), self.is_lite());
        let act = if lite {
            Activation::Relu6
        } else {
            Activation::Silu
        };
        let ends = |ch| if lite { ch } else { scaling.channels(ch, 8) };
        let stem_ch = ends(STEM_HEAD.0);
        let mut in_ch = stem_ch;
        let mut blocks = Vec::new();
        for (s, (repeats, kernel, stride, expand_ratio, ch)) in STAGES.into_iter().enumerate() {
            let unscaled = lite && (s == 0 || s + 1 == STAGES.len());
            let repeats = if unscaled {
                repeats
            } else {
                scaling.repeats(repeats)
            };
            let out_ch = scaling.channels(ch, 8);
            let small = images.small_images && (s == 1 || s == 2);
            for i in 0..repeats {
                blocks.push(MbConvConfig {
                    in_ch,
                    out_ch,
                    kernel,
                    stride: if i == 0 && !small { stride } else { 1 },
                    expand_ratio,
                    // A quarter of the block's input, not of the expanded map.
                    squeezed_ch: if lite { 0 } else { (in_ch / 4).max(1) },
                    act,
                });
                in_ch = out_ch;
            }
        }
        EfficientNetConfig {
            input: images.input,
            classes: images.classes,
            stem_ch,
            stem_stride: images.stem_stride,
            blocks,
            head_ch: ends(STEM_HEAD.1),
            act,
        }
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Variant {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|v| v.word() == text);
        found.ok_or_else(|| {
            let words = Self::ALL.map(Self::word).join(", ");
            format!("no EfficientNet is called `{text}`; known: {words}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::init::Init;
    use crate::nn::values::collect;
    use crate::util::random::stream;
    use burn::module::Module;
    use burn::tensor::Device;

    #[test]
    fn parameters_equal_the_published_counts() {
        let counts = Variant::ALL.map(|v| v.published().parameters());
        assert_eq!(
            counts,
            [
                5_288_548, 7_794_184, 9_109_994, 12_233_232, 19_341_616, 30_389_784, 43_040_704,
                66_347_960, 4_652_008, 5_416_680, 6_092_072, 8_197_096, 13_006_568,
            ]
        );
    }

    #[test]
    fn blocks_and_multiply_accumulates_equal_the_published_ones() {
        let billions = [0.386, 0.687, 0.994, 1.827, 4.394, 10.27, 19.07, 37.75];
        let blocks = [16, 23, 23, 26, 32, 39, 45, 55];
        for ((variant, macs), blocks) in Variant::ALL.into_iter().zip(billions).zip(blocks) {
            let config = variant.published();
            assert_eq!(config.blocks.len(), blocks, "{variant}");
            let unit = if macs < 10.0 { 1e6 } else { 1e7 };
            let rounded = (config.macs() as f64 / unit).round() * unit / 1e9;
            assert!((rounded - macs).abs() < 1e-9, "{variant}: {rounded}");
        }
        let tenths = |config: EfficientNetConfig| (config.macs() as f64 / 1e5).round() / 10.0;
        assert_eq!(tenths(Variant::B0.published()), 385.8);
        assert_eq!(tenths(Variant::Lite0.published()), 385.2);
    }

    #[test]
    fn a_ninth_of_b0_is_squeeze_and_excitation() {
        let mut config = Variant::B0.published();
        let with = config.parameters();
        for block in &mut config.blocks {
            block.squeezed_ch = 0;
        }
        assert_eq!(with - config.parameters(), 636_540);
    }

    #[test]
    fn small_images_keep_their_detail() {
        let images = ImageNet {
            input: [32, 32, 3],
            classes: 10,
            stem_stride: 2,
            small_images: true,
        };
        let config = Variant::B0.config(images);
        assert_eq!((config.macs() as f64 / 1e5).round() / 10.0, 102.3);
        assert_eq!((config.parameters() as f64 / 1e4).round() / 100.0, 4.02);
        // A stem of stride 1 looks at four times the pixels in every later layer.
        let fine = Variant::B0.config(ImageNet {
            stem_stride: 1,
            small_images: false,
            ..images
        });
        let coarse = Variant::B0.config(ImageNet {
            small_images: false,
            ..images
        });
        assert_eq!(fine.parameters(), coarse.parameters());
        let ratio = fine.macs() as f64 / coarse.macs() as f64;
        assert!((3.5..4.0).contains(&ratio), "{ratio}");
    }

    #[test]
    fn the_nets_have_what_the_formula_counts() {
        for variant in [Variant::B0, Variant::Lite0] {
            let config = variant.config(ImageNet {
                input: [32, 32, 3],
                classes: 10,
                stem_stride: 2,
                small_images: true,
            });
            let mut rng = stream(0, "test", 0);
            let net = config.init(&mut Init {
                device: &Device::flex(),
                rng: &mut rng,
            });
            let norms: usize = collect(&net)
                .iter()
                .filter(|n| n.name.ends_with("mean") || n.name.ends_with("variance"))
                .map(|n| n.values.len())
                .sum();
            assert_eq!(net.num_params() - norms, config.parameters(), "{variant}");
        }
    }

    #[test]
    fn published_nets_pack_with_the_work_that_is_counted() {
        use crate::data::batch::Normalization;
        use crate::net::graph::calibrate::ranges;
        use crate::net::graph::fold::fold;
        use crate::net::graph::int8;
        for variant in [Variant::B0, Variant::Lite0] {
            let config = variant.config(ImageNet {
                input: [32, 32, 3],
                classes: 4,
                stem_stride: 2,
                small_images: false,
            });
            let mut rng = stream(1, "test", 0);
            let net = config.init(&mut Init {
                device: &Device::flex(),
                rng: &mut rng,
            });
            let pixels = (0..2 * 32 * 32 * 3).map(|i| (i * 37 % 251) as u8).collect();
            let images = crate::data::Images::new(config.input, pixels);
            let normalization = Normalization::around(128);
            let graph = fold(&config, &net);
            let found = ranges(&graph, &images, &normalization, 0.0);
            let labels = ["a", "b", "c", "d"].map(str::to_owned);
            let bytes = int8::build(&graph, &found, &normalization, &labels).unwrap();
            let model = pupil_core::model::Model::parse(&bytes).unwrap();
            assert_eq!(model.macs() as usize, config.macs(), "{variant}");
        }
    }

    #[test]
    fn words_name_variants() {
        for variant in Variant::ALL {
            assert_eq!(variant.word().parse(), Ok(variant));
        }
        assert!("b8".parse::<Variant>().unwrap_err().contains("lite4"));
    }
}
