//! Grouped convolution with batch norm and activation: the middle of a ResNeXt block (arXiv
//! 1611.05431, figure 3c). Each group of output channels sees its own group of input channels.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::activation::Activation;
use super::conv::BatchNormAct;
use super::init::Init;
use super::noise::Pass;
use super::ops::patches;

/// Grouped convolution, batch norm, activation. SAME padding, no bias.
#[derive(Module, Debug)]
pub struct GroupedConv {
    /// `[groups, kernel*kernel*in_ch/groups, out_ch/groups]`, rows ordered (ky, kx, in_ch).
    pub weight: Param<Tensor<3>>,
    /// Normalization.
    pub norm: BatchNormAct,
    kernel: usize,
    stride: usize,
}

impl GroupedConv {
    /// A `kernel` x `kernel` convolution from `in_ch` to `out_ch` in `groups` groups, of which
    /// both are multiples.
    pub fn new(
        (in_ch, out_ch): (usize, usize),
        groups: usize,
        (kernel, stride): (usize, usize),
        act: Activation,
        init: &mut Init<'_>,
    ) -> Self {
        let taps = kernel * kernel;
        let dims = [groups, taps * in_ch / groups, out_ch / groups];
        Self {
            weight: init.normal(dims, taps * out_ch / groups),
            norm: BatchNormAct::new(out_ch, act, init),
            kernel,
            stride,
        }
    }

    /// `x [n, h, w, in_ch]` to `[n, ceil(h/stride), ceil(w/stride), out_ch]`.
    pub fn forward(&self, x: Tensor<4>, pass: &Pass<'_>) -> Tensor<4> {
        let weight = self.weight.val();
        let [groups, rows, out] = weight.dims();
        let taps = self.kernel * self.kernel;
        let columns = patches(x, self.kernel, self.stride);
        let [n, h, w, _] = columns.dims();
        let pixels = n * h * w;
        // [pixels, taps, groups, in] → [groups, pixels, taps · in]
        let columns = columns
            .reshape([pixels, taps, groups, rows / taps])
            .permute([2, 0, 1, 3])
            .reshape([groups, pixels, rows]);
        let y = columns
            .matmul(weight)
            .permute([1, 0, 2])
            .reshape([n, h, w, groups * out]);
        self.norm.forward(y, pass)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::stream;
    use burn::tensor::module::conv2d;
    use burn::tensor::ops::{ConvOptions, PadMode};
    use burn::tensor::{Device, TensorData};
    use pupil_core::shape::same_padding;

    /// Against burn's own grouped convolution on NCHW maps.
    #[test]
    fn it_is_a_grouped_convolution() {
        let device = Device::flex();
        let (groups, kernel, stride, in_ch, out_ch) = (4, 3, 2, 8, 12);
        let mut rng = stream(2, "test", 0);
        let init = &mut Init {
            device: &device,
            rng: &mut rng,
        };
        let conv = GroupedConv::new(
            (in_ch, out_ch),
            groups,
            (kernel, stride),
            Activation::Linear,
            init,
        );
        let x: Vec<f32> = (0..2 * 6 * 7 * 8)
            .map(|i| (i * 37 % 101) as f32 / 50.0 - 1.0)
            .collect();
        let x: Tensor<4> = Tensor::from_data(TensorData::new(x, [2, 6, 7, 8]), &device);
        let (top, bottom) = same_padding(6, kernel, stride);
        let (left, right) = same_padding(7, kernel, stride);
        let padded = x
            .clone()
            .permute([0, 3, 1, 2])
            .pad((left, right, top, bottom), PadMode::Constant(0.0));
        // [groups, (ky, kx, in), out] → [groups · out, in, ky, kx]
        let weight = conv
            .weight
            .val()
            .reshape([groups, kernel, kernel, in_ch / groups, out_ch / groups])
            .permute([0, 4, 3, 1, 2])
            .reshape([out_ch, in_ch / groups, kernel, kernel]);
        let options = ConvOptions::new([stride, stride], [0, 0], [1, 1], groups);
        let expected = conv2d(padded, weight, None, options).permute([0, 2, 3, 1]);
        // Running mean 0 and variance 1: evaluation divides by √(1 + ε) alone.
        let scale = (1.0 + crate::nn::kernels::normalize::EPSILON).sqrt();
        let y = conv.forward(x, &Pass::Evaluate) * scale;
        assert_eq!(y.dims(), expected.dims());
        let worst = (y - expected).abs().max().into_scalar::<f32>();
        assert!(worst < 1e-4, "{worst}");
    }
}
