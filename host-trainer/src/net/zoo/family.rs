//! The architectures by name.

use core::fmt;

use serde::{Deserialize, Serialize};

use super::attach::{Attach, Placement};
use super::images::Images;
use super::{inception, mbconv, mobilenet_v1, resnet, resnext, vgg};
use crate::net::blueprint::Blueprint;
use crate::nn::Activation;

/// An architecture of the zoo.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Family {
    /// 3x3 convolutions and max pools (arXiv 1409.1556).
    Vgg,
    /// Residual units of two 3x3 convolutions (arXiv 1512.03385).
    #[value(name = "resnet")]
    #[serde(rename = "resnet")]
    ResNet,
    /// Bottlenecks with grouped 3x3 convolutions (arXiv 1611.05431).
    #[value(name = "resnext")]
    #[serde(rename = "resnext")]
    ResNeXt,
    /// Parallel branches, concatenated (arXiv 1409.4842, 1502.03167).
    Inception,
    /// Depthwise and 1x1 convolutions in turn (arXiv 1704.04861).
    #[value(name = "mobilenet-v1")]
    #[serde(rename = "mobilenet-v1")]
    MobileNetV1,
    /// Inverted bottlenecks (arXiv 1801.04381, 1905.11946).
    #[value(name = "mbconv")]
    #[serde(rename = "mbconv")]
    MbConv,
}

impl Family {
    /// All of them.
    pub(crate) const ALL: [Self; 6] = [
        Self::Vgg,
        Self::ResNet,
        Self::ResNeXt,
        Self::Inception,
        Self::MobileNetV1,
        Self::MbConv,
    ];

    /// Its word in commands and tables.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Vgg => "vgg",
            Self::ResNet => "resnet",
            Self::ResNeXt => "resnext",
            Self::Inception => "inception",
            Self::MobileNetV1 => "mobilenet-v1",
            Self::MbConv => "mbconv",
        }
    }

    /// Its usual squeeze-and-excitation: SENet's without biases; in MBConv the block's own
    /// activation and biases, as in EfficientNet. Ratio 8, because the maps have few channels.
    pub(crate) fn attach(self) -> Attach {
        let mbconv = self == Self::MbConv;
        Attach {
            ratio: 8,
            placement: Placement::Standard,
            act: if mbconv {
                Activation::Silu
            } else {
                Activation::Relu
            },
            gate: Activation::Sigmoid,
            bias: mbconv,
        }
    }

    /// Whether its units have an identity branch.
    pub(crate) fn is_residual(self) -> bool {
        matches!(self, Self::ResNet | Self::ResNeXt | Self::MbConv)
    }

    /// The net, with squeeze-and-excitation where `attach` is given.
    ///
    /// # Errors
    /// The identity placement in a net without identity branches.
    pub(crate) fn blueprint(
        self,
        images: &Images,
        attach: Option<&Attach>,
    ) -> Result<Blueprint, String> {
        if attach.is_some_and(|a| a.placement == Placement::Identity) && !self.is_residual() {
            return Err(format!(
                "{self} has no identity branch\n  do:    choose the placement standard, pre or post, or leave {self} out"
            ));
        }
        Ok(match self {
            Self::Vgg => vgg::blueprint(images, attach),
            Self::ResNet => resnet::blueprint(images, attach),
            Self::ResNeXt => resnext::blueprint(images, attach),
            Self::Inception => inception::blueprint(images, attach),
            Self::MobileNetV1 => mobilenet_v1::blueprint(images, attach),
            Self::MbConv => mbconv::blueprint(images, attach),
        })
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
