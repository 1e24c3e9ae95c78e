//! Convolutions with batch norm and activation, over NHWC maps.

use burn::module::{Module, Param, RunningState};
use burn::tensor::{Device, Tensor};

use super::activation::Activation;
use super::init::Init;
use super::noise::Pass;
use super::ops::{batch_norm_act, depthwise, patches, scale_shift_act};

/// Share of the old value in a running statistic per step (EfficientNet: 0.99; nets trained for
/// few steps want a shorter memory).
pub const MOMENTUM: f64 = 0.97;

/// Batch norm and the activation behind it.
#[derive(Module, Debug)]
pub struct BatchNormAct {
    /// Scale γ `[c]`.
    pub gamma: Param<Tensor<1>>,
    /// Shift β `[c]`.
    pub beta: Param<Tensor<1>>,
    /// Running mean `[c]`.
    pub mean: RunningState<Tensor<1>>,
    /// Running biased variance `[c]`.
    pub variance: RunningState<Tensor<1>>,
    #[module(skip)]
    act: Activation,
}

impl BatchNormAct {
    /// γ = 1, β = 0, running mean 0 and variance 1.
    pub fn new(c: usize, act: Activation, init: &mut Init<'_>) -> Self {
        let plain: Device = init.device.clone().inner();
        Self {
            gamma: init.constant([c], 1.0),
            beta: init.constant([c], 0.0),
            mean: RunningState::new(Tensor::zeros([c], &plain)),
            variance: RunningState::new(Tensor::ones([c], &plain)),
            act,
        }
    }

    /// `x [n, h, w, c]` normalized, scaled, shifted and activated.
    pub fn forward(&self, x: Tensor<4>, pass: &Pass<'_>) -> Tensor<4> {
        match pass {
            Pass::Train(_) => {
                let (y, mean, variance) =
                    batch_norm_act(x, self.gamma.val(), self.beta.val(), self.act);
                for (state, batch) in [(&self.mean, mean), (&self.variance, variance)] {
                    let old = state.value_sync();
                    state.update(old * MOMENTUM + batch * (1.0 - MOMENTUM));
                    state.value_sync();
                }
                y
            }
            Pass::Evaluate => {
                let inverse = (self.variance.value_sync() + super::ops::batch_norm_act::EPSILON)
                    .sqrt()
                    .recip();
                let a = plain(self.gamma.val()) * inverse;
                let b = plain(self.beta.val()) - self.mean.value_sync() * a.clone();
                scale_shift_act(x, a, b, self.act)
            }
        }
    }
}

/// The tensor without its place in the autodiff graph.
fn plain<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    if x.device().is_autodiff() {
        x.inner()
    } else {
        x
    }
}

/// Convolution, batch norm, activation: the stem. SAME padding, no bias.
#[derive(Module, Debug)]
pub struct ConvBnAct {
    /// `[kernel*kernel*in_ch, out_ch]`, rows ordered (ky, kx, in_ch).
    pub weight: Param<Tensor<2>>,
    /// Normalization.
    pub norm: BatchNormAct,
    kernel: usize,
    stride: usize,
}

impl ConvBnAct {
    /// A `kernel` x `kernel` convolution from `in_ch` to `out_ch`.
    pub fn new(
        (in_ch, out_ch): (usize, usize),
        kernel: usize,
        stride: usize,
        act: Activation,
        init: &mut Init<'_>,
    ) -> Self {
        let taps = kernel * kernel;
        Self {
            weight: init.normal([taps * in_ch, out_ch], taps * out_ch),
            norm: BatchNormAct::new(out_ch, act, init),
            kernel,
            stride,
        }
    }

    /// `x [n, h, w, in_ch]` to `[n, ceil(h/stride), ceil(w/stride), out_ch]`.
    pub fn forward(&self, x: Tensor<4>, pass: &Pass<'_>) -> Tensor<4> {
        let columns = patches(x, self.kernel, self.stride);
        self.norm.forward(matrix(columns, self.weight.val()), pass)
    }
}

/// 1x1 convolution, batch norm, activation: expand, project and head of EfficientNet. No bias.
#[derive(Module, Debug)]
pub struct Pointwise {
    /// `[in_ch, out_ch]`.
    pub weight: Param<Tensor<2>>,
    /// Normalization.
    pub norm: BatchNormAct,
}

impl Pointwise {
    /// A 1x1 convolution from `in_ch` to `out_ch`.
    pub fn new((in_ch, out_ch): (usize, usize), act: Activation, init: &mut Init<'_>) -> Self {
        Self {
            weight: init.normal([in_ch, out_ch], out_ch),
            norm: BatchNormAct::new(out_ch, act, init),
        }
    }

    /// `x [n, h, w, in_ch]` to `[n, h, w, out_ch]`.
    pub fn forward(&self, x: Tensor<4>, pass: &Pass<'_>) -> Tensor<4> {
        self.norm.forward(matrix(x, self.weight.val()), pass)
    }
}

/// Depthwise convolution, batch norm, activation: the middle of MBConv. SAME padding, no bias.
#[derive(Module, Debug)]
pub struct Depthwise {
    /// `[kernel*kernel, c]`.
    pub weight: Param<Tensor<2>>,
    /// Normalization.
    pub norm: BatchNormAct,
    kernel: usize,
    stride: usize,
}

impl Depthwise {
    /// A `kernel` x `kernel` kernel for each of `c` channels.
    pub fn new(
        c: usize,
        kernel: usize,
        stride: usize,
        act: Activation,
        init: &mut Init<'_>,
    ) -> Self {
        Self {
            weight: init.normal([kernel * kernel, c], kernel * kernel),
            norm: BatchNormAct::new(c, act, init),
            kernel,
            stride,
        }
    }

    /// `x [n, h, w, c]` to `[n, ceil(h/stride), ceil(w/stride), c]`.
    pub fn forward(&self, x: Tensor<4>, pass: &Pass<'_>) -> Tensor<4> {
        self.norm.forward(
            depthwise(x, self.weight.val(), self.kernel, self.stride),
            pass,
        )
    }
}

/// Every pixel of `x [n, h, w, i]` times `w [i, o]`.
fn matrix(x: Tensor<4>, w: Tensor<2>) -> Tensor<4> {
    let [n, h, width, i] = x.dims();
    let o = w.dims()[1];
    x.reshape([n * h * width, i])
        .matmul(w)
        .reshape([n, h, width, o])
}
