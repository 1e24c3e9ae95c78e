//! The non-linearities that a net may use, as numbers; tensors get them through fused operators.

use serde::{Deserialize, Serialize};

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
    /// Its value at `x`, to the same bits on every machine: calibration uses it, and so the packed
    /// bytes depend on it. Training computes vectors: [`super::kernels::function`].
    pub fn apply(self, x: f32) -> f32 {
        match self {
            Self::Linear => x,
            Self::Relu => x.max(0.0),
            Self::Relu6 => x.clamp(0.0, 6.0),
            Self::Silu => x * sigmoid(x),
            Self::HardSwish => x * (x + 3.0).clamp(0.0, 6.0) * (1.0 / 6.0),
            Self::Sigmoid => sigmoid(x),
            Self::HardSigmoid => (x + 3.0).clamp(0.0, 6.0) * (1.0 / 6.0),
        }
    }
}

/// e^x by range reduction and a degree-6 polynomial; relative error below 2e-7 on [-87, 87].
fn exp(x: f32) -> f32 {
    const MAGIC: f32 = 12_582_912.0; // 1.5 * 2^23: adding it rounds to an integer in the low bits
    let x = x.clamp(-87.0, 87.0);
    let shifted = x * core::f32::consts::LOG2_E + MAGIC;
    let n = shifted - MAGIC;
    // ln 2 in two parts, so that x - n ln 2 keeps its low bits.
    let f = (x - n * 0.693_359_4) - n * -2.121_944_4e-4;
    let p = 1.0
        + f * (1.0
            + f * (0.5
                + f * (1.0 / 6.0 + f * (1.0 / 24.0 + f * (1.0 / 120.0 + f * (1.0 / 720.0))))));
    f32::from_bits(p.to_bits().wrapping_add(shifted.to_bits() << 23))
}

/// The logistic function.
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::kernels::function::with_function;
    use crate::nn::kernels::normalize::{Runs, apply_both};

    #[test]
    fn exp_is_within_2e7_relative() {
        let mut x = -86.9f32;
        while x < 86.9 {
            let exact = f64::from(x).exp();
            assert!(
                ((f64::from(exp(x)) - exact) / exact).abs() < 3e-7,
                "exp({x})"
            );
            x += 0.0137;
        }
    }

    #[test]
    fn sigmoid_saturates_without_nan() {
        assert!(sigmoid(-1e30) < 1e-37 && sigmoid(1e30) == 1.0 && sigmoid(0.0) == 0.5);
    }

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
                let (mut value, mut slope) = ([0.0], [0.0]);
                with_function!(activation, F => apply_both::<F>(
                    &[x], &[1.0], &[0.0], &mut value, Runs::whole(1), &mut slope));
                let [slope] = slope;
                assert!(
                    (value[0] - activation.apply(x)).abs() < 1e-5,
                    "{activation:?} at {x}: {value:?}"
                );
                assert!(
                    (numeric - slope).abs() < 2e-3,
                    "{activation:?} at {x}: {numeric} {slope}"
                );
            }
        }
    }
}
