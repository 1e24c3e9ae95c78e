//! What training and measuring need of a net.

use burn::module::Module;
use burn::tensor::Tensor;

use super::{EfficientNet, Net};
use crate::nn::noise::Pass;

/// A net that answers images with logits.
pub trait Classifier: Module {
    /// Images `[n, h, w, c]` to logits `[n, classes]`.
    fn forward(&self, x: Tensor<4>, pass: &mut Pass<'_>) -> Tensor<2>;
}

impl Classifier for EfficientNet {
    fn forward(&self, x: Tensor<4>, pass: &mut Pass<'_>) -> Tensor<2> {
        EfficientNet::forward(self, x, pass)
    }
}

impl Classifier for Net {
    fn forward(&self, x: Tensor<4>, pass: &mut Pass<'_>) -> Tensor<2> {
        Net::forward(self, x, pass)
    }
}
