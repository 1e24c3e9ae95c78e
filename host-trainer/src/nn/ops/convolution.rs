//! Convolution in groups, weights as one matrix a group, SAME padding: each group of output channels
//! sees its own group of input channels.
//!
//! On the CPU a product of [`patches`] with the weights; elsewhere burn's own.

use burn::tensor::Tensor;

use super::choice::is_fused;
use super::patches::patches;
use super::stock;

/// `x [n, h, w, in_ch]` with `weight [groups, kernel*kernel*in_ch/groups, out_ch/groups]`, rows
/// ordered (ky, kx, in_ch), to `[n, ceil(h/stride), ceil(w/stride), out_ch]`.
pub(crate) fn convolution(
    x: Tensor<4>,
    weight: Tensor<3>,
    kernel: usize,
    stride: usize,
) -> Tensor<4> {
    if !is_fused(&x.device()) {
        return stock::convolution(x, weight, kernel, stride);
    }
    let [groups, rows, out] = weight.dims();
    let taps = kernel * kernel;
    let columns = patches(x, kernel, stride);
    let [n, h, w, _] = columns.dims();
    let pixels = n * h * w;
    // [pixels, taps, groups, in] → [groups, pixels, taps · in]
    let columns = columns
        .reshape([pixels, taps, groups, rows / taps])
        .permute([2, 0, 1, 3])
        .reshape([groups, pixels, rows]);
    columns
        .matmul(weight)
        .permute([1, 0, 2])
        .reshape([n, h, w, groups * out])
}
