//! A block's shape, its parameters, and what its forward pass keeps.

use crate::nn::activation::Activation;
use crate::nn::kernels::buffers::Buffer;
use crate::nn::kernels::depthwise::Window;
use crate::nn::kernels::normalize::Forward;
use crate::nn::units::ConvNorm;

/// Shapes of one block and its batch.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shape {
    /// Samples.
    pub n: usize,
    /// Channels in.
    pub in_ch: usize,
    /// Channels out.
    pub out_ch: usize,
    /// Width of the excitation's bottleneck; 0 without squeeze-and-excitation.
    pub squeezed_ch: usize,
    /// Whether there is an expansion; without it the depthwise convolution reads the input.
    pub expand: bool,
    /// The depthwise convolution, over the expanded channels.
    pub window: Window,
    /// Everywhere but after the projection.
    pub act: Activation,
    /// Whether the input is added to the output.
    pub residual: bool,
}

impl Shape {
    /// Pixels of an input map.
    pub(crate) fn in_pixels(&self) -> usize {
        self.window.input.0 * self.window.input.1
    }

    /// Pixels of an output map.
    pub(crate) fn out_pixels(&self) -> usize {
        self.window.output.0 * self.window.output.1
    }

    /// Channels between expand and project.
    pub(crate) fn mid(&self) -> usize {
        self.window.c
    }
}

/// All parameters of a block, or their gradients. Absent parts are empty.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Parameters<T> {
    /// `[in_ch, mid]`.
    pub expand: ConvNorm<T>,
    /// `[kernel*kernel, mid]`.
    pub depthwise: ConvNorm<T>,
    /// `[mid, squeezed_ch]`.
    pub reduce: T,
    /// `[squeezed_ch]`.
    pub reduce_bias: T,
    /// `[squeezed_ch, mid]`.
    pub excite: T,
    /// `[mid]`.
    pub excite_bias: T,
    /// `[mid, out_ch]`.
    pub project: ConvNorm<T>,
}

/// Number of parameter tensors of a block with all parts.
pub(crate) const PARAMETERS: usize = 13;

impl<T> Parameters<T> {
    /// In the order of the fields.
    pub(crate) fn into_array(self) -> [T; PARAMETERS] {
        [
            self.expand.weight,
            self.expand.gamma,
            self.expand.beta,
            self.depthwise.weight,
            self.depthwise.gamma,
            self.depthwise.beta,
            self.reduce,
            self.reduce_bias,
            self.excite,
            self.excite_bias,
            self.project.weight,
            self.project.gamma,
            self.project.beta,
        ]
    }

    /// From the order of the fields.
    pub(crate) fn from_array(all: [T; PARAMETERS]) -> Self {
        let [ew, eg, eb, dw, dg, db, rw, rb, xw, xb, pw, pg, pb] = all;
        let conv = |weight, gamma, beta| ConvNorm {
            weight,
            gamma,
            beta,
        };
        Self {
            expand: conv(ew, eg, eb),
            depthwise: conv(dw, dg, db),
            reduce: rw,
            reduce_bias: rb,
            excite: xw,
            excite_bias: xb,
            project: conv(pw, pg, pb),
        }
    }
}

/// What the forward pass keeps: 4 bytes for each number of the three maps before normalization.
#[derive(Debug)]
pub(crate) struct Saved {
    /// After the expansion `[n, in pixels, mid]`; empty without one.
    pub expanded: Buffer,
    /// After the depthwise convolution `[n, out pixels, mid]`.
    pub filtered: Buffer,
    /// After the projection `[n, out pixels, out_ch]`.
    pub projected: Buffer,
    /// Mean over each map `[n, mid]`.
    pub squeezed: Vec<f32>,
    /// Behind the reduction, before its bias `[n, squeezed_ch]`.
    pub hidden: Vec<f32>,
    /// Gates `[n, mid]`.
    pub gates: Vec<f32>,
    /// Normalization behind the expansion.
    pub expand_norm: Option<Forward>,
    /// Behind the depthwise convolution.
    pub depthwise_norm: Forward,
    /// Behind the projection.
    pub project_norm: Forward,
    /// Factor of each sample's branch under stochastic depth; empty without it.
    pub keep: Vec<f32>,
}
