//! Each operator as a composition of burn's stock ones: what runs on a GPU, and the specification
//! that the fused operators are tested against.

use burn::tensor::Tensor;
use burn::tensor::module::conv2d;
use burn::tensor::ops::{ConvOptions, PadMode};
use pupil_core::op::shape::same_padding;

use crate::nn::activate::activate;
use crate::nn::activation::Activation;
use crate::nn::kernels::normalize::EPSILON;

/// Mean and biased variance of a batch, `[c]` each, outside of the graph.
#[derive(Debug)]
pub(crate) struct Moments {
    /// Mean.
    pub mean: Tensor<1>,
    /// Biased variance.
    pub variance: Tensor<1>,
}

/// burn's convolution of an NHWC map with SAME padding; weights `[out, in / groups, k, k]`.
fn conv(x: Tensor<4>, w: Tensor<4>, stride: usize, groups: usize) -> Tensor<4> {
    let [_, h, width, _] = x.dims();
    let kernel = w.dims()[2];
    let (top, bottom) = same_padding(h, kernel, stride);
    let (left, right) = same_padding(width, kernel, stride);
    let x = x.permute([0, 3, 1, 2]);
    let x = match [top, bottom, left, right] {
        [0, 0, 0, 0] => x,
        _ => x.pad((left, right, top, bottom), PadMode::Constant(0.0)),
    };
    let options = ConvOptions::new([stride, stride], [0, 0], [1, 1], groups);
    conv2d(x, w, None, options).permute([0, 2, 3, 1])
}

/// [`super::convolution()`].
pub(crate) fn convolution(x: Tensor<4>, w: Tensor<3>, kernel: usize, stride: usize) -> Tensor<4> {
    let [groups, rows, out] = w.dims();
    let in_ch = rows / (kernel * kernel);
    // [groups, (ky, kx, in), out] → [groups · out, in, ky, kx]
    let w = w
        .reshape([groups, kernel, kernel, in_ch, out])
        .permute([0, 4, 3, 1, 2])
        .reshape([groups * out, in_ch, kernel, kernel]);
    conv(x, w, stride, groups)
}

/// [`super::depthwise()`]: a convolution of as many groups as channels.
pub(crate) fn depthwise(x: Tensor<4>, w: Tensor<2>, kernel: usize, stride: usize) -> Tensor<4> {
    let c = w.dims()[1];
    let w = w.permute([1, 0]).reshape([c, 1, kernel, kernel]);
    conv(x, w, stride, c)
}

/// [`super::batch_norm_act()`], and the batch's statistics.
pub(crate) fn batch_norm_act(
    x: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    act: Activation,
) -> (Tensor<4>, Moments) {
    let [n, h, w, c] = x.dims();
    let rows = x.reshape([n * h * w, c]);
    let mean = rows.clone().mean_dim(0);
    let centered = rows - mean.clone();
    let variance = centered.clone().powi_scalar(2).mean_dim(0);
    let moments = Moments {
        mean: mean.inner().reshape([c]),
        variance: variance.clone().inner().reshape([c]),
    };
    let inverse = (variance + EPSILON).sqrt().recip();
    let z = centered * inverse * gamma.unsqueeze() + beta.unsqueeze();
    (activate(z, act).reshape([n, h, w, c]), moments)
}

/// [`super::scale_shift_act`].
pub(crate) fn scale_shift_act(
    x: Tensor<4>,
    a: Tensor<1>,
    b: Tensor<1>,
    act: Activation,
) -> Tensor<4> {
    activate(x * a.unsqueeze() + b.unsqueeze(), act)
}

/// [`super::global_pool()`].
pub(crate) fn global_pool(x: Tensor<4>) -> Tensor<2> {
    let [n, _, _, c] = x.dims();
    x.mean_dim(1).mean_dim(2).reshape([n, c])
}

/// [`super::gate()`].
pub(crate) fn gate(x: Tensor<4>, s: Tensor<2>) -> Tensor<4> {
    let [n, c] = s.dims();
    x * s.reshape([n, 1, 1, c])
}
