//! Parameters of softmax.

use super::quant::Multiplier;

/// Parameters of a softmax.
#[derive(Clone, Copy, Debug)]
pub struct SoftmaxParams {
    /// Input scale in Q5.26; its shift is not negative.
    pub multiplier: Multiplier,
    /// Differences below this count as probability 0.
    pub diff_min: i32,
}
