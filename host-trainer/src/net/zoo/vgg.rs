//! VGG-style: pairs of 3x3 convolutions, max pool between them (arXiv 1409.1556), with batch norm
//! and a global mean instead of the dense layers. Squeeze-and-excitation follows each
//! convolution.

use super::attach::{Attach, plain_unit};
use crate::net::blueprint::{Blueprint, Part};
use crate::net::zoo::images::Images;
use crate::nn::Activation;

/// Channels of each pair.
const STAGES: [usize; 3] = [16, 32, 64];

pub(super) fn blueprint(images: &Images, attach: Option<&Attach>) -> Blueprint {
    let mut net = Blueprint::new(images.input);
    let mut x = 0;
    for (s, ch) in STAGES.into_iter().enumerate() {
        if s > 0 {
            let pool = Part::MaxPool {
                kernel: 2,
                stride: 2,
            };
            x = net.push(format!("pool {s}"), &[x], pool);
        }
        for i in 0..2 {
            let unit = format!("conv {}", 2 * s + i + 1);
            let stride = if s + i == 0 { images.stem_stride } else { 1 };
            // The image itself has no channels worth weighing.
            let attach = attach.filter(|a| s + i > 0 || a.placement != super::Placement::Pre);
            x = plain_unit(&mut net, attach, &unit, x, |net, x| {
                net.conv(&unit, x, ch, (3, stride), Activation::Relu)
            });
        }
    }
    net.classifier(x, images.classes);
    net
}
