//! ResNet-style: residual units of two 3x3 convolutions (arXiv 1512.03385, section 4.2: the nets
//! for small images), one unit a stage as in MLPerf Tiny's ResNet-8.

use super::attach::{Attach, residual_unit};
use crate::net::blueprint::Blueprint;
use crate::net::zoo::images::Images;
use crate::nn::Activation;

/// Channels and stride of each stage.
const STAGES: [(usize, usize); 3] = [(16, 1), (32, 2), (64, 2)];

pub(super) fn blueprint(images: &Images, attach: Option<&Attach>) -> Blueprint {
    let mut net = Blueprint::new(images.input);
    let mut x = net.conv("stem", 0, 16, (3, images.stem_stride), Activation::Relu);
    for (s, (ch, stride)) in STAGES.into_iter().enumerate() {
        let unit = format!("unit {}", s + 1);
        x = residual_unit(&mut net, attach, &unit, x, stride, |net, x| {
            let first = format!("{unit} conv 1");
            let x = net.conv(first, x, ch, (3, stride), Activation::Relu);
            net.conv(format!("{unit} conv 2"), x, ch, (3, 1), Activation::Linear)
        });
    }
    net.classifier(x, images.classes);
    net
}
