//! MBConv-style: the tiny EfficientNet's blocks with squeeze-and-excitation at any ratio and
//! place. The ratio is that of the gated map: EfficientNet's in_ch / 4 is 4 times the expand
//! ratio, here 16, in the standard place.

use super::attach::{Attach, Placement, attach_at};
use crate::net::CompoundScaling;
use crate::net::blueprint::{Blueprint, Part};
use crate::net::efficientnet::EfficientNetConfig;
use crate::net::zoo::images::Images;
use crate::nn::Activation;

pub(super) fn blueprint(images: &Images, attach: Option<&Attach>) -> Blueprint {
    let act = Activation::Silu;
    let tiny = EfficientNetConfig::tiny(
        images.input,
        images.classes,
        CompoundScaling::phi(0.0),
        4,
        act,
    );
    let mut net = Blueprint::new(images.input);
    let mut x = net.conv("stem", 0, tiny.stem_ch, (3, images.stem_stride), act);
    for (b, block) in tiny.blocks.iter().enumerate() {
        let unit = format!("block {}", b + 1);
        x = attach_at(&mut net, attach, &[Placement::Pre], &unit, x);
        let start = x;
        if block.expand_ratio > 1 {
            let name = format!("{unit} expand");
            x = net.conv(name, x, block.expanded_ch(), (1, 1), act);
        }
        let depthwise = Part::Depthwise {
            kernel: block.kernel,
            stride: block.stride,
            act,
        };
        x = net.push(format!("{unit} depthwise"), &[x], depthwise);
        x = attach_at(&mut net, attach, &[Placement::Standard], &unit, x);
        let name = format!("{unit} project");
        x = net.conv(name, x, block.out_ch, (1, 1), Activation::Linear);
        if block.has_residual() {
            let identity = attach_at(&mut net, attach, &[Placement::Identity], &unit, start);
            let sum = Part::Add {
                act: Activation::Linear,
            };
            x = net.push(format!("{unit} sum"), &[identity, x], sum);
        }
        x = attach_at(&mut net, attach, &[Placement::Post], &unit, x);
    }
    x = net.conv("head", x, tiny.head_ch, (1, 1), act);
    net.classifier(x, images.classes);
    net
}
