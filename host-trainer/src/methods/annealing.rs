//! Training signal annealing (UDA, arXiv 1904.12848, section 3.3): labeled images are left out
//! while the net is sure of them, p(y) > η_t = α_t (1 − 1/K) + 1/K.
//!
//! Trap: it looks at the true class, not at the most probable one.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::two_sets::softened;
use crate::train::loss::soft_cross_entropy;

/// How the threshold of training signal annealing rises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Annealing {
    /// Every labeled image counts at every step.
    #[default]
    None,
    /// α = t / T.
    Linear,
    /// α = exp(5 (t/T − 1)): the threshold rises late, for few labels.
    Exponential,
    /// α = 1 − exp(−5 t/T): it rises early.
    Logarithmic,
}

impl Annealing {
    /// η at step `step` of `steps` with `classes` classes; none where every image counts.
    pub fn threshold(self, step: u64, steps: u64, classes: usize) -> Option<f64> {
        let t = (step as f64 / steps.max(1) as f64).min(1.0);
        let alpha = match self {
            Self::None => return None,
            Self::Linear => t,
            Self::Exponential => (5.0 * (t - 1.0)).exp(),
            Self::Logarithmic => 1.0 - (-5.0 * t).exp(),
        };
        let floor = 1.0 / classes as f64;
        Some(alpha * (1.0 - floor) + floor)
    }
}

/// Mean cross-entropy of the labeled images whose own class has at most probability `threshold`.
pub(crate) fn annealed(
    logits: Tensor<2>,
    targets: Tensor<2>,
    classes: &[u8],
    threshold: Option<f64>,
) -> Tensor<1> {
    let Some(threshold) = threshold else {
        return soft_cross_entropy(logits, targets);
    };
    let [n, k] = logits.dims();
    let rows = softened(&logits, 1.0);
    let counts: Vec<f32> = rows
        .chunks_exact(k)
        .zip(classes)
        .map(|(row, class)| f32::from(f64::from(row[usize::from(*class)]) <= threshold))
        .collect();
    let divisor = counts.iter().sum::<f32>().max(1.0);
    let mask: Tensor<2> = Tensor::from_data(TensorData::new(counts, [n, 1]), &logits.device());
    (log_softmax(logits, 1) * targets * mask).sum().neg() / divisor
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn annealing_rises_from_chance_to_one() {
        for kind in [
            Annealing::Linear,
            Annealing::Exponential,
            Annealing::Logarithmic,
        ] {
            let at = |step| kind.threshold(step, 100, 10).unwrap();
            assert!(at(0) >= 0.1 - 1e-12 && at(0) < 0.11, "{kind:?} {}", at(0));
            assert!(at(100) > 0.99 && at(100) <= 1.0, "{kind:?}");
            assert!((0..100).all(|s| at(s + 1) > at(s)), "{kind:?}");
        }
        let half = |kind: Annealing| kind.threshold(50, 100, 10).unwrap();
        assert!((half(Annealing::Linear) - 0.55).abs() < 1e-12);
        assert!(half(Annealing::Exponential) < 0.2 && half(Annealing::Logarithmic) > 0.9);
        assert_eq!(Annealing::None.threshold(5, 10, 10), None);
    }

    #[test]
    fn images_that_the_net_is_sure_of_are_left_out_by_their_own_class() {
        let device = Device::flex().autodiff();
        // Sure and right, sure and wrong, unsure.
        let z = vec![5.0f32, 0.0, 5.0, 0.0, 0.0, 0.1];
        let logits: Tensor<2> =
            Tensor::from_data(TensorData::new(z, [3, 2]), &device).require_grad();
        let targets = crate::train::loss::one_hot(&[0, 1, 0], 2, 0.0, &device);
        let loss = annealed(logits.clone(), targets, &[0, 1, 0], Some(0.9));
        let gradient = crate::nn::values::numbers(logits.grad(&loss.backward()).unwrap());
        assert_eq!(gradient[..2], [0.0, 0.0]);
        assert!(gradient[2] > 0.4 && gradient[5] > 0.2, "{gradient:?}");
        let value = f64::from(loss.into_scalar::<f32>());
        let expected = ((5.0f64.exp() + 1.0).ln() + (1.0 + 0.1f64.exp()).ln()) / 2.0;
        assert!((value - expected).abs() < 1e-4, "{value} {expected}");
    }
}
