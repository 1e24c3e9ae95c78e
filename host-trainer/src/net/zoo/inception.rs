//! Inception-style: 1x1, 3x3, 5x5 and pooled branches side by side, concatenated (arXiv
//! 1409.4842, figure 2b), with batch norm (arXiv 1502.03167). Squeeze-and-excitation gates the
//! whole module's output.

use super::attach::{Attach, plain_unit};
use crate::net::blueprint::{Blueprint, Part};
use crate::net::zoo::images::Images;
use crate::nn::Activation;

/// Channels of a module's branches.
struct Module {
    one: usize,
    three: (usize, usize),
    five: (usize, usize),
    pooled: usize,
    /// Whether the map is halved before it.
    halve: bool,
}

const MODULES: [Module; 3] = [
    Module {
        one: 8,
        three: (8, 16),
        five: (4, 8),
        pooled: 8,
        halve: true,
    },
    Module {
        one: 16,
        three: (16, 32),
        five: (8, 16),
        pooled: 16,
        halve: false,
    },
    Module {
        one: 24,
        three: (24, 48),
        five: (8, 24),
        pooled: 24,
        halve: true,
    },
];

pub(super) fn blueprint(images: &Images, attach: Option<&Attach>) -> Blueprint {
    let mut net = Blueprint::new(images.input);
    let act = Activation::Relu;
    let mut x = net.conv("stem", 0, 16, (3, images.stem_stride), act);
    for (m, module) in MODULES.iter().enumerate() {
        let unit = format!("module {}", m + 1);
        if module.halve {
            let pool = Part::MaxPool {
                kernel: 3,
                stride: 2,
            };
            x = net.push(format!("{unit} halve"), &[x], pool);
        }
        x = plain_unit(&mut net, attach, &unit, x, |net, x| {
            let name = |part: &str| format!("{unit} {part}");
            let one = net.conv(name("1x1"), x, module.one, (1, 1), act);
            let three = net.conv(name("3x3 reduce"), x, module.three.0, (1, 1), act);
            let three = net.conv(name("3x3"), three, module.three.1, (3, 1), act);
            let five = net.conv(name("5x5 reduce"), x, module.five.0, (1, 1), act);
            let five = net.conv(name("5x5"), five, module.five.1, (5, 1), act);
            let pool = Part::MaxPool {
                kernel: 3,
                stride: 1,
            };
            let pooled = net.push(name("pool"), &[x], pool);
            let pooled = net.conv(name("pool 1x1"), pooled, module.pooled, (1, 1), act);
            net.push(name("concat"), &[one, three, five, pooled], Part::Concat)
        });
    }
    net.classifier(x, images.classes);
    net
}
