//! Squeeze-and-excitation (SENet, arXiv 1709.01507, section 3), as a part for any NHWC net.
//!
//! z = mean over h, w (squeeze); s = gate(W2 act(W1 z + b1) + b2) (excitation); x̃ = x s (scale).

use burn::module::{Module, Param};
use burn::tensor::{Tensor, activation};

use super::activation::Activation;
use super::init::Init;
use super::ops::{gate, global_pool};

/// Shape of a squeeze-and-excitation part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SqueezeExciteConfig {
    /// Channels of the map.
    pub ch: usize,
    /// Width of the bottleneck.
    pub squeezed_ch: usize,
    /// Between the two dense layers: the block's own in EfficientNet, ReLU in SENet.
    pub act: Activation,
}

/// The two dense layers of the excitation.
#[derive(Module, Debug)]
pub struct SqueezeExcite {
    /// `[ch, squeezed_ch]`.
    pub reduce: Param<Tensor<2>>,
    /// `[squeezed_ch]`.
    pub reduce_bias: Param<Tensor<1>>,
    /// `[squeezed_ch, ch]`.
    pub expand: Param<Tensor<2>>,
    /// `[ch]`.
    pub expand_bias: Param<Tensor<1>>,
    #[module(skip)]
    act: Activation,
}

impl SqueezeExciteConfig {
    /// 2 ch squeezed + ch + squeezed parameters.
    pub fn init(&self, init: &mut Init<'_>) -> SqueezeExcite {
        SqueezeExcite {
            reduce: init.normal([self.ch, self.squeezed_ch], self.squeezed_ch),
            reduce_bias: init.constant([self.squeezed_ch], 0.0),
            expand: init.normal([self.squeezed_ch, self.ch], self.ch),
            expand_bias: init.constant([self.ch], 0.0),
            act: self.act,
        }
    }
}

impl SqueezeExcite {
    /// `x [n, h, w, ch]`, each channel scaled by its gate in (0, 1).
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let z = global_pool(x.clone());
        let hidden = z.matmul(self.reduce.val()) + self.reduce_bias.val().unsqueeze();
        let hidden = activate(hidden, self.act);
        let s = hidden.matmul(self.expand.val()) + self.expand_bias.val().unsqueeze();
        gate(x, activation::sigmoid(s))
    }
}

/// The activation of a small `[n, c]` tensor by stock operators.
fn activate(x: Tensor<2>, act: Activation) -> Tensor<2> {
    match act {
        Activation::Linear => x,
        Activation::Relu => activation::relu(x),
        Activation::Relu6 => x.clamp(0.0, 6.0),
        Activation::Silu => activation::silu(x),
        Activation::HardSwish => x.clone() * (x + 3.0).clamp(0.0, 6.0) / 6.0,
        Activation::Sigmoid => activation::sigmoid(x),
    }
}
