//! ResNeXt-style: bottlenecks whose 3x3 convolution has groups (arXiv 1611.05431, figure 3c).
//! Squeeze-and-excitation gates the last 1x1 convolution's output.

use super::attach::{Attach, residual_unit};
use crate::net::blueprint::{Blueprint, Part};
use crate::net::zoo::images::Images;
use crate::nn::Activation;

/// Groups of the 3x3 convolutions.
const CARDINALITY: usize = 4;

/// Channels of the bottleneck, channels out, stride.
const STAGES: [(usize, usize, usize); 4] = [(16, 32, 1), (32, 64, 2), (32, 64, 1), (64, 128, 2)];

pub(super) fn blueprint(images: &Images, attach: Option<&Attach>) -> Blueprint {
    let mut net = Blueprint::new(images.input);
    let act = Activation::Relu;
    let mut x = net.conv("stem", 0, 16, (3, images.stem_stride), act);
    for (s, (inner, ch, stride)) in STAGES.into_iter().enumerate() {
        let unit = format!("unit {}", s + 1);
        x = residual_unit(&mut net, attach, &unit, x, stride, |net, x| {
            let x = net.conv(format!("{unit} reduce"), x, inner, (1, 1), act);
            let part = Part::Conv {
                out_ch: inner,
                kernel: 3,
                stride,
                groups: CARDINALITY,
                act,
            };
            let x = net.push(format!("{unit} grouped"), &[x], part);
            net.conv(format!("{unit} expand"), x, ch, (1, 1), Activation::Linear)
        });
    }
    net.classifier(x, images.classes);
    net
}
