//! How squeeze-and-excitation is attached to a net.
//!
//! Placements are those of SENet's table 14. In a residual unit: *standard* behind the last
//! transform of the residual branch, before the sum; *pre* before the unit; *post* behind the
//! sum and its activation; *identity* on the identity branch. Units without an identity branch
//! (VGG, Inception, MobileNetV1) take the part before (*pre*) or behind them (*standard* and
//! *post*). In MBConv *standard* lies between the depthwise convolution and the projection.

use serde::{Deserialize, Serialize};

use crate::net::blueprint::{Blueprint, Part};
use crate::nn::Activation;

/// Where the part goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Placement {
    /// Behind the transform, before the sum.
    Standard,
    /// Before the unit.
    Pre,
    /// Behind the sum.
    Post,
    /// On the identity branch.
    Identity,
}

/// Squeeze-and-excitation to attach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attach {
    /// Channels of the map over channels of the bottleneck; 16 in SENet.
    pub ratio: usize,
    /// Where.
    pub placement: Placement,
    /// Between the dense layers.
    pub act: Activation,
    /// Behind them.
    pub gate: Activation,
    /// Whether the dense layers have biases.
    pub bias: bool,
}

impl Attach {
    /// Width of the bottleneck for `ch` channels: ⌊C / r⌋, at least 1.
    pub(crate) fn squeezed_ch(&self, ch: usize) -> usize {
        (ch / self.ratio.max(1)).max(1)
    }

    /// The formula 2C²/r of one part on `ch` channels.
    pub(crate) fn formula(&self, ch: usize) -> f64 {
        2.0 * (ch * ch) as f64 / self.ratio.max(1) as f64
    }
}

/// `x`, or `x` behind the part where `attach` has one of `placements`.
pub(super) fn attach_at(
    net: &mut Blueprint,
    attach: Option<&Attach>,
    placements: &[Placement],
    unit: &str,
    x: usize,
) -> usize {
    let Some(attach) = attach.filter(|a| placements.contains(&a.placement)) else {
        return x;
    };
    let squeezed_ch = attach.squeezed_ch(net.dims_of(x)[2]);
    net.push(
        format!("{unit} squeeze-excite"),
        &[x],
        Part::SqueezeExcite {
            squeezed_ch,
            act: attach.act,
            gate: attach.gate,
            bias: attach.bias,
        },
    )
}

/// A unit without identity branch: `transform` with the part before or behind it.
pub(super) fn plain_unit(
    net: &mut Blueprint,
    attach: Option<&Attach>,
    unit: &str,
    x: usize,
    transform: impl FnOnce(&mut Blueprint, usize) -> usize,
) -> usize {
    let x = attach_at(net, attach, &[Placement::Pre], unit, x);
    let y = transform(net, x);
    attach_at(
        net,
        attach,
        &[Placement::Standard, Placement::Post],
        unit,
        y,
    )
}

/// A residual unit: `transform` makes the residual branch; the identity is `x`, or a linear 1x1
/// convolution of it where the branch changes the map's dimensions.
pub(super) fn residual_unit(
    net: &mut Blueprint,
    attach: Option<&Attach>,
    unit: &str,
    x: usize,
    stride: usize,
    transform: impl FnOnce(&mut Blueprint, usize) -> usize,
) -> usize {
    let x = attach_at(net, attach, &[Placement::Pre], unit, x);
    let y = transform(net, x);
    let y = attach_at(net, attach, &[Placement::Standard], unit, y);
    let (from, to) = (net.dims_of(x), net.dims_of(y));
    let identity = if from == to {
        x
    } else {
        let name = format!("{unit} shortcut");
        net.conv(name, x, to[2], (1, stride), Activation::Linear)
    };
    let identity = attach_at(net, attach, &[Placement::Identity], unit, identity);
    let act = Activation::Relu;
    let sum = net.push(format!("{unit} sum"), &[identity, y], Part::Add { act });
    attach_at(net, attach, &[Placement::Post], unit, sum)
}
