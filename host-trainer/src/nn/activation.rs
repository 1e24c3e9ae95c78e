//! The non-linearities that a net may use, as numbers; tensors get them through the fused ops.

use serde::{Deserialize, Serialize};

use super::ops::lanes::sigmoid;

/// A pointwise non-linearity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// x: after MBConv's projection.
    Linear,
    /// max(x, 0): a clamp on the chip.
    Relu,
    /// min(max(x, 0), 6): a clamp on the chip.
    Relu6,
    /// x σ(x), EfficientNet's; a 256-entry table on the chip.
    Silu,
    /// x ReLU6(x + 3) / 6, MobileNetV3's; a 256-entry table on the chip.
    HardSwish,
    /// σ(x): the gate of squeeze-and-excitation.
    Sigmoid,
    /// ReLU6(x + 3) / 6: the gate of MobileNetV3's squeeze-and-excitation.
    HardSigmoid,
}

impl Activation {
    /// Its value at `x`.
    pub fn apply(self, x: f32) -> f32 {
        match self {
            Self::Linear => Linear::value(x),
            Self::Relu => Relu::value(x),
            Self::Relu6 => Relu6::value(x),
            Self::Silu => Silu::value(x),
            Self::HardSwish => HardSwish::value(x),
            Self::Sigmoid => Sigmoid::value(x),
            Self::HardSigmoid => HardSigmoid::value(x),
        }
    }
}

/// One non-linearity as a type, so that loops over a map are compiled for it.
pub(crate) trait Function {
    fn value(z: f32) -> f32;
    fn slope(z: f32) -> f32;
}

pub(crate) struct Linear;
pub(crate) struct Relu;
pub(crate) struct Relu6;
pub(crate) struct Silu;
pub(crate) struct HardSwish;
pub(crate) struct Sigmoid;
pub(crate) struct HardSigmoid;

impl Function for Linear {
    #[inline(always)]
    fn value(z: f32) -> f32 {
        z
    }
    #[inline(always)]
    fn slope(_: f32) -> f32 {
        1.0
    }
}

impl Function for Relu {
    #[inline(always)]
    fn value(z: f32) -> f32 {
        z.max(0.0)
    }
    #[inline(always)]
    fn slope(z: f32) -> f32 {
        if z > 0.0 { 1.0 } else { 0.0 }
    }
}

impl Function for Relu6 {
    #[inline(always)]
    fn value(z: f32) -> f32 {
        z.clamp(0.0, 6.0)
    }
    #[inline(always)]
    fn slope(z: f32) -> f32 {
        if z > 0.0 && z < 6.0 { 1.0 } else { 0.0 }
    }
}

impl Function for Silu {
    #[inline(always)]
    fn value(z: f32) -> f32 {
        z * sigmoid(z)
    }
    #[inline(always)]
    fn slope(z: f32) -> f32 {
        let s = sigmoid(z);
        s * (1.0 + z * (1.0 - s))
    }
}

impl Function for HardSwish {
    #[inline(always)]
    fn value(z: f32) -> f32 {
        z * (z + 3.0).clamp(0.0, 6.0) * (1.0 / 6.0)
    }
    #[inline(always)]
    fn slope(z: f32) -> f32 {
        let inside = (2.0 * z + 3.0) * (1.0 / 6.0);
        if z <= -3.0 {
            0.0
        } else if z >= 3.0 {
            1.0
        } else {
            inside
        }
    }
}

impl Function for Sigmoid {
    #[inline(always)]
    fn value(z: f32) -> f32 {
        sigmoid(z)
    }
    #[inline(always)]
    fn slope(z: f32) -> f32 {
        let s = sigmoid(z);
        s * (1.0 - s)
    }
}

impl Function for HardSigmoid {
    #[inline(always)]
    fn value(z: f32) -> f32 {
        (z + 3.0).clamp(0.0, 6.0) * (1.0 / 6.0)
    }
    #[inline(always)]
    fn slope(z: f32) -> f32 {
        if z > -3.0 && z < 3.0 { 1.0 / 6.0 } else { 0.0 }
    }
}

/// Runs `$body` with the type `$f` of the non-linearity `$activation`.
macro_rules! with_function {
    ($activation:expr, $f:ident => $body:expr) => {{
        use $crate::nn::activation as a;
        match $activation {
            a::Activation::Linear => {
                type $f = a::Linear;
                $body
            }
            a::Activation::Relu => {
                type $f = a::Relu;
                $body
            }
            a::Activation::Relu6 => {
                type $f = a::Relu6;
                $body
            }
            a::Activation::Silu => {
                type $f = a::Silu;
                $body
            }
            a::Activation::HardSwish => {
                type $f = a::HardSwish;
                $body
            }
            a::Activation::Sigmoid => {
                type $f = a::Sigmoid;
                $body
            }
            a::Activation::HardSigmoid => {
                type $f = a::HardSigmoid;
                $body
            }
        }
    }};
}
pub(crate) use with_function;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_match_central_differences() {
        for activation in [
            Activation::Linear,
            Activation::Relu,
            Activation::Relu6,
            Activation::Silu,
            Activation::HardSwish,
            Activation::Sigmoid,
            Activation::HardSigmoid,
        ] {
            for i in -70..70 {
                let x = i as f32 * 0.11 + 0.013; // off the kinks
                let h = 1e-2f32;
                let numeric = (activation.apply(x + h) - activation.apply(x - h)) / (2.0 * h);
                let slope = with_function!(activation, F => F::slope(x));
                assert!(
                    (numeric - slope).abs() < 2e-3,
                    "{activation:?} at {x}: {numeric} {slope}"
                );
            }
        }
    }
}
