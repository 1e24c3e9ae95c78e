//! Grouped convolution with batch norm and activation: the middle of a ResNeXt block (arXiv
//! 1611.05431, figure 3c). Each group of output channels sees its own group of input channels.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::activation::Activation;
use super::conv::BatchNormAct;
use super::init::Init;
use super::noise::Pass;
use super::ops::convolution;

/// Grouped convolution, batch norm, activation. SAME padding, no bias.
#[derive(Module, Debug)]
pub(crate) struct GroupedConv {
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
    pub(crate) fn new(
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
    pub(crate) fn forward(&self, x: Tensor<4>, pass: &Pass<'_>) -> Tensor<4> {
        let y = convolution(x, self.weight.val(), self.kernel, self.stride);
        self.norm.forward(y, pass)
    }
}
