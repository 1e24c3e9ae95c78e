//! Convolutions with batch norm and activation, over NHWC maps.

use burn::module::{Module, Param, RunningState};
use burn::tensor::{Device, DispatchTensor, Tensor, TensorData};

use super::activation::Activation;
use super::init::Init;
use super::kernels::depthwise::Window;
use super::kernels::normalize::{EPSILON, Forward};
use super::noise::Pass;
use super::ops::slot::Slot;
use super::ops::{
    batch_norm_act, conv_unit, convolution, depthwise, global_pool, is_fused, scale_shift_act,
    stock,
};
use super::units::folded::{Chain, Folded, evaluate};
use super::units::{ConvNorm, Running, conv};
use super::values::numbers;

/// Share of the old value in a running statistic per step (EfficientNet: 0.99; nets trained for
/// few steps want a shorter memory). The first steps keep less, so that the statistics are the
/// plain mean over the steps so far, and never the values that they started with.
pub(crate) const MOMENTUM: f64 = 0.97;

/// Share of the old value at step `step`, counted from 0.
fn momentum(step: u64) -> f64 {
    MOMENTUM.min(step as f64 / (step + 1) as f64)
}

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

    /// The non-linearity behind it.
    pub fn act(&self) -> Activation {
        self.act
    }

    /// `x [n, h, w, c]` normalized, scaled, shifted and activated.
    pub fn forward(&self, x: Tensor<4>, pass: &Pass<'_>) -> Tensor<4> {
        match pass {
            Pass::Train(noise) if is_fused(&x.device()) => {
                let slot = Slot::new();
                let y = batch_norm_act(x, self.gamma.val(), self.beta.val(), self.act, &slot);
                if let Some(norm) = slot.get() {
                    self.remember(norm, noise.step);
                }
                y
            }
            Pass::Train(noise) => {
                let (gamma, beta) = (self.gamma.val(), self.beta.val());
                let (y, batch) = stock::batch_norm_act(x, gamma, beta, self.act);
                self.follow(batch, noise.step);
                y
            }
            Pass::Evaluate => {
                let inverse = (self.variance.value_sync() + EPSILON).sqrt().recip();
                let a = plain(self.gamma.val()) * inverse;
                let b = plain(self.beta.val()) - self.mean.value_sync() * a.clone();
                scale_shift_act(x, a, b, self.act)
            }
        }
    }

    /// Moves the running statistics toward a batch's, that of step `step`.
    pub(super) fn remember(&self, norm: &Forward, step: u64) {
        let keep = momentum(step);
        for (state, batch) in [(&self.mean, &norm.mean), (&self.variance, &norm.variance)] {
            let old = state.value_sync();
            let device = old.device();
            let moved: Vec<f32> = numbers(old)
                .iter()
                .zip(batch)
                .map(|(old, new)| (f64::from(*old) * keep + f64::from(*new) * (1.0 - keep)) as f32)
                .collect();
            let dims = [moved.len()];
            state.update(Tensor::from_data(TensorData::new(moved, dims), &device));
            state.value_sync();
        }
    }

    /// The same with the batch's statistics where they are, which a GPU need not wait for.
    fn follow(&self, batch: stock::Moments, step: u64) {
        let keep = momentum(step);
        let both = [(&self.mean, batch.mean), (&self.variance, batch.variance)];
        for (state, batch) in both {
            let old = state.value_sync().inner();
            state.update(old * keep + batch * (1.0 - keep));
            state.value_sync();
        }
    }

    /// The running statistics as numbers.
    pub(super) fn running(&self) -> Running {
        Running {
            mean: numbers(self.mean.value_sync()),
            variance: numbers(self.variance.value_sync()),
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

/// A convolution's weights with its normalization, as a fused operator takes them.
pub(super) fn fused(weight: &Param<Tensor<2>>, norm: &BatchNormAct) -> ConvNorm<DispatchTensor> {
    ConvNorm {
        weight: weight.val().into_dispatch(),
        gamma: norm.gamma.val().into_dispatch(),
        beta: norm.beta.val().into_dispatch(),
    }
}

/// The same as numbers, for evaluation.
pub(super) fn frozen(weight: &Param<Tensor<2>>, norm: &BatchNormAct) -> ConvNorm<Vec<f32>> {
    ConvNorm {
        weight: numbers(weight.val()),
        gamma: numbers(norm.gamma.val()),
        beta: numbers(norm.beta.val()),
    }
}

/// Convolution, normalization and activation in one operator, with pooling behind it or without.
fn unit(
    x: Tensor<4>,
    (weight, norm): (&Param<Tensor<2>>, &BatchNormAct),
    (kernel, stride): (usize, usize),
    pool: bool,
    pass: &Pass<'_>,
) -> Tensor<4> {
    if !is_fused(&x.device()) {
        let y = composed(x, (weight, norm), (kernel, stride), pass);
        let [n, _, _, c] = y.dims();
        return if pool {
            global_pool(y).reshape([n, 1, 1, c])
        } else {
            y
        };
    }
    let shape = shape(weight, norm, x.dims(), (kernel, stride), pool);
    match pass {
        Pass::Train(noise) => {
            let slot = Slot::new();
            let y = conv_unit(x, fused(weight, norm), shape, &slot);
            if let Some(saved) = slot.get() {
                norm.remember(&saved.norm, noise.step);
            }
            y
        }
        Pass::Evaluate => {
            let (h, w) = if pool { (1, 1) } else { shape.window.output };
            let dims = [shape.n, h, w, shape.out_ch];
            evaluated(&[fold(weight, norm, shape)], x, dims)
        }
    }
}

fn shape(
    weight: &Param<Tensor<2>>,
    norm: &BatchNormAct,
    [n, h, w, in_ch]: [usize; 4],
    (kernel, stride): (usize, usize),
    pool: bool,
) -> conv::Shape {
    conv::Shape {
        n,
        window: Window::same((h, w), in_ch, kernel, stride),
        out_ch: weight.dims()[1],
        act: norm.act,
        pool,
    }
}

/// The unit by running statistics.
fn fold(weight: &Param<Tensor<2>>, norm: &BatchNormAct, shape: conv::Shape) -> Box<dyn Folded> {
    let w = frozen(weight, norm);
    let w = ConvNorm {
        weight: &w.weight[..],
        gamma: &w.gamma,
        beta: &w.beta,
    };
    Box::new(conv::Folded::new(shape, &w, &norm.running()))
}

/// `x [n, ..]` through a chain of units with folded batch norm; the output has dimensions `dims`.
pub(crate) fn evaluated<const D: usize>(
    units: &[Box<dyn Folded>],
    x: Tensor<4>,
    dims: [usize; D],
) -> Tensor<D> {
    let (n, device) = (x.dims()[0], x.device());
    let y = evaluate(units, n, &numbers(x));
    Tensor::from_data(TensorData::new(y, dims), &device)
}

/// The unit without pooling as a composition of small operators.
fn composed(
    x: Tensor<4>,
    (weight, norm): (&Param<Tensor<2>>, &BatchNormAct),
    (kernel, stride): (usize, usize),
    pass: &Pass<'_>,
) -> Tensor<4> {
    let weight = weight.val();
    let y = if (kernel, stride) == (1, 1) {
        matrix(x, weight)
    } else {
        convolution(x, weight.unsqueeze(), kernel, stride)
    };
    norm.forward(y, pass)
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
        let (kernel, stride) = (self.kernel, self.stride);
        unit(x, (&self.weight, &self.norm), (kernel, stride), false, pass)
    }

    /// Adds the unit for images `[h, w, in_ch]` to a chain of units with folded batch norm; the
    /// output's height and width.
    pub fn fold_onto(&self, chain: &mut Chain, [h, w, in_ch]: [usize; 3]) -> (usize, usize) {
        let (kernel, stride) = (self.kernel, self.stride);
        let dims = [1, h, w, in_ch];
        let shape = shape(&self.weight, &self.norm, dims, (kernel, stride), false);
        let output = shape.window.output;
        chain.push(fold(&self.weight, &self.norm, shape));
        output
    }

    /// The same as a composition of small operators.
    pub fn compose(&self, x: Tensor<4>, pass: &Pass<'_>) -> Tensor<4> {
        let (kernel, stride) = (self.kernel, self.stride);
        composed(x, (&self.weight, &self.norm), (kernel, stride), pass)
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
        unit(x, (&self.weight, &self.norm), (1, 1), false, pass)
    }

    /// `x [n, h, w, in_ch]` to the means over the output's maps, `[n, out_ch]`.
    pub fn forward_pooled(&self, x: Tensor<4>, pass: &Pass<'_>) -> Tensor<2> {
        let y = unit(x, (&self.weight, &self.norm), (1, 1), true, pass);
        let [n, _, _, c] = y.dims();
        y.reshape([n, c])
    }

    /// Adds [`Self::forward_pooled`] for maps of height and width `size` to a chain of units
    /// with folded batch norm.
    pub fn fold_pooled_onto(&self, chain: &mut Chain, size: (usize, usize)) {
        let dims = [1, size.0, size.1, self.weight.dims()[0]];
        let shape = shape(&self.weight, &self.norm, dims, (1, 1), true);
        chain.push(fold(&self.weight, &self.norm, shape));
    }

    /// [`Self::forward`] as a composition of small operators.
    pub fn compose(&self, x: Tensor<4>, pass: &Pass<'_>) -> Tensor<4> {
        composed(x, (&self.weight, &self.norm), (1, 1), pass)
    }
}

/// Depthwise convolution, batch norm, activation: the middle of MBConv. SAME padding, no bias.
#[derive(Module, Debug)]
pub struct Depthwise {
    /// `[kernel*kernel, c]`.
    pub weight: Param<Tensor<2>>,
    /// Normalization.
    pub norm: BatchNormAct,
    pub(super) kernel: usize,
    pub(super) stride: usize,
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
