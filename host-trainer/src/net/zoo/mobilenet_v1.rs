//! MobileNetV1-style: depthwise 3x3, then 1x1 convolutions (arXiv 1704.04861).
//! Squeeze-and-excitation follows each pair.

use super::attach::{Attach, plain_unit};
use crate::net::blueprint::{Blueprint, Part};
use crate::net::zoo::images::Images;
use crate::nn::Activation;

/// Channels out and stride of each pair.
const PAIRS: [(usize, usize); 6] = [(32, 1), (64, 2), (64, 1), (128, 2), (128, 1), (128, 1)];

pub(super) fn blueprint(images: &Images, attach: Option<&Attach>) -> Blueprint {
    let mut net = Blueprint::new(images.input);
    let act = Activation::Relu6;
    let mut x = net.conv("stem", 0, 16, (3, images.stem_stride), act);
    for (p, (ch, stride)) in PAIRS.into_iter().enumerate() {
        let unit = format!("pair {}", p + 1);
        x = plain_unit(&mut net, attach, &unit, x, |net, x| {
            let depthwise = Part::Depthwise {
                kernel: 3,
                stride,
                act,
            };
            let x = net.push(format!("{unit} depthwise"), &[x], depthwise);
            net.conv(format!("{unit} pointwise"), x, ch, (1, 1), act)
        });
    }
    net.classifier(x, images.classes);
    net
}
