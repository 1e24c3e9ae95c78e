//! Modules, nets and their sizes.

use super::compare::{Target, compare};
use crate::net::zoo::{Family, Images};
use crate::net::{CompoundScaling, EfficientNet, EfficientNetConfig, Net};
use crate::nn::activation::Activation;
use crate::nn::conv::{BatchNormAct, ConvBnAct, Depthwise, Pointwise};
use crate::nn::grouped::GroupedConv;
use crate::nn::mbconv::{MbConv, MbConvConfig};
use crate::nn::ops::global_pool;
use crate::nn::squeeze_excite::{SqueezeExcite, SqueezeExciteConfig};

/// What trains as one node of the graph on the CPU.
pub(super) fn units(target: &Target) {
    blocks(target);
    for (kernel, stride, channels, dims) in [
        (3, 2, (3, 6), [9, 8, 8, 3]),
        (3, 1, (1, 16), [2, 5, 7, 1]),
        (5, 2, (2, 4), [3, 6, 5, 2]),
        (1, 1, (6, 10), [12, 3, 3, 6]),
        (1, 2, (6, 10), [4, 5, 4, 6]),
    ] {
        compare(
            target,
            &format!("convolution {kernel}x{kernel} stride {stride}"),
            |init| ConvBnAct::new(channels, kernel, stride, Activation::Silu, init),
            dims,
            &|m: &ConvBnAct, x, pass| m.forward(x, pass),
            &|m: &ConvBnAct, x, pass| m.compose(x, pass),
        );
    }
    for dims in [[9, 4, 3, 6], [2, 1, 1, 6]] {
        compare(
            target,
            "pointwise convolution, pooled",
            |init| Pointwise::new((6, 20), Activation::Silu, init),
            dims,
            &|m: &Pointwise, x, pass| m.forward_pooled(x, pass),
            &|m: &Pointwise, x, pass| global_pool(m.compose(x, pass)),
        );
    }
}

/// MBConv blocks.
fn blocks(target: &Target) {
    let base = MbConvConfig {
        in_ch: 8,
        out_ch: 8,
        kernel: 3,
        stride: 1,
        expand_ratio: 2,
        squeezed_ch: 2,
        act: Activation::Silu,
    };
    let cases = [
        (base, [11, 6, 5, 8]),
        (base, [1, 1, 1, 8]),
        (
            MbConvConfig {
                squeezed_ch: 0,
                ..base
            },
            [9, 4, 4, 8],
        ),
        (
            MbConvConfig {
                expand_ratio: 1,
                ..base
            },
            [5, 5, 7, 8],
        ),
        (
            MbConvConfig {
                expand_ratio: 1,
                squeezed_ch: 0,
                out_ch: 5,
                ..base
            },
            [3, 8, 8, 8],
        ),
        (
            MbConvConfig {
                kernel: 5,
                stride: 2,
                out_ch: 12,
                ..base
            },
            [10, 7, 8, 8],
        ),
        (
            MbConvConfig {
                stride: 2,
                in_ch: 3,
                expand_ratio: 3,
                ..base
            },
            [4, 9, 6, 3],
        ),
        (
            MbConvConfig {
                kernel: 5,
                in_ch: 5,
                out_ch: 5,
                expand_ratio: 3,
                ..base
            },
            [17, 3, 3, 5],
        ),
        (
            MbConvConfig {
                kernel: 7,
                act: Activation::HardSwish,
                ..base
            },
            [2, 9, 9, 8],
        ),
        (
            MbConvConfig {
                kernel: 9,
                stride: 3,
                act: Activation::Relu6,
                ..base
            },
            [2, 11, 10, 8],
        ),
        (
            MbConvConfig {
                act: Activation::Relu,
                expand_ratio: 5,
                ..base
            },
            [8, 4, 4, 8],
        ),
    ];
    for (config, dims) in cases {
        compare(
            target,
            &format!("{config:?}"),
            |init| config.init(init),
            dims,
            &|m: &MbConv, x, pass| m.forward(x, pass, 1, 2),
            &|m: &MbConv, x, pass| m.compose(x, pass, 1, 2),
        );
    }
}

/// What is composed of several nodes on the CPU too.
pub(super) fn modules(target: &Target) {
    for act in [
        Activation::Linear,
        Activation::Relu,
        Activation::Relu6,
        Activation::Silu,
        Activation::HardSwish,
        Activation::Sigmoid,
    ] {
        compare(
            target,
            &format!("batch norm, {act:?}"),
            |init| BatchNormAct::new(6, act, init),
            [4, 5, 3, 6],
            &|m: &BatchNormAct, x, pass| m.forward(x, pass),
            &|m: &BatchNormAct, x, pass| m.forward(x, pass),
        );
    }
    for (kernel, stride, dims) in [
        (3, 1, [3, 7, 6, 5]),
        (3, 2, [2, 8, 8, 16]),
        (5, 2, [9, 5, 7, 11]),
        (9, 1, [2, 9, 9, 8]),
    ] {
        compare(
            target,
            &format!("depthwise {kernel}x{kernel} stride {stride}"),
            |init| Depthwise::new(dims[3], kernel, stride, Activation::Relu, init),
            dims,
            &|m: &Depthwise, x, pass| m.forward(x, pass),
            &|m: &Depthwise, x, pass| m.forward(x, pass),
        );
    }
    for (groups, kernel, stride) in [(4, 3, 2), (2, 3, 1), (8, 1, 1)] {
        compare(
            target,
            &format!("{groups} groups {kernel}x{kernel} stride {stride}"),
            |init| GroupedConv::new((8, 24), groups, (kernel, stride), Activation::Relu, init),
            [3, 6, 7, 8],
            &|m: &GroupedConv, x, pass| m.forward(x, pass),
            &|m: &GroupedConv, x, pass| m.forward(x, pass),
        );
    }
    for (gate, bias) in [
        (Activation::Sigmoid, true),
        (Activation::HardSigmoid, false),
    ] {
        let config = SqueezeExciteConfig {
            ch: 8,
            squeezed_ch: 2,
            act: Activation::Relu,
            gate,
            bias,
        };
        compare(
            target,
            &format!("squeeze-and-excitation {gate:?}"),
            |init| config.init(init),
            [5, 4, 3, 8],
            &|m: &SqueezeExcite, x, _| m.forward(x),
            &|m: &SqueezeExcite, x, _| m.forward(x),
        );
    }
}

/// Whole nets: pooling, concatenation, sums, dropout, dense layers.
pub(super) fn nets(target: &Target) {
    let scaling = CompoundScaling {
        width: 0.5,
        depth: 1.0,
        resolution: 1.0,
    };
    let config = EfficientNetConfig::tiny([12, 12, 1], 3, scaling, 4, Activation::Silu);
    compare(
        target,
        "EfficientNet",
        |init| config.init(init),
        [32, 12, 12, 1],
        &|m: &EfficientNet, x, pass| m.forward(x, pass),
        &|m: &EfficientNet, x, pass| m.forward(x, pass),
    );
    let images = Images {
        input: [12, 12, 1],
        classes: 4,
        stem_stride: 1,
    };
    for family in Family::ALL {
        let blueprint = family.blueprint(&images, Some(&family.attach())).unwrap();
        compare(
            target,
            family.word(),
            |init| blueprint.init(init),
            [16, 12, 12, 1],
            &|m: &Net, x, pass| m.forward(x, pass),
            &|m: &Net, x, pass| m.forward(x, pass),
        );
    }
}
