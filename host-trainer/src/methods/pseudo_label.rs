//! Pseudo-Label (Lee, ICML workshop 2013).
//!
//! At every step the net's own most probable class of each unlabeled image is its label:
//!
//! L = (1/n) Σ CE(yᵐ, f(xᵐ)) + α(t) (1/n') Σ CE(y'ᵐ, f(x'ᵐ)), y' = arg max f(x')
//!
//! α is 0 until T₁, rises linearly to α_f at T₂, and stays: an untrained net would only confirm
//! its own mistakes. Minimizing the second term is entropy regularization (Grandvalet and Bengio
//! 2004), so the mean entropy of the predictions is reported over time.
//!
//! Traps: labels that are made once are self-training, not this method; no gradient flows through
//! y'; the mean is over all n' images.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::two_sets::{Mean, Setup, TwoSets, entropy, slice, softened};
use crate::eval::metrics::argmax;
use crate::net::Classifier;
use crate::nn::noise::Pass;
use crate::train::fit::Objective;
use crate::train::loss::{one_hot, soft_cross_entropy};

/// Constants of Pseudo-Label.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PseudoLabelConfig {
    /// α_f, the final weight of the unlabeled images.
    pub alpha: f64,
    /// T₁ and T₂ as shares of the steps.
    pub ramp: (f64, f64),
}

impl Default for PseudoLabelConfig {
    /// α_f 1; the paper's 3 confirms too much where labels are few. T₁ and T₂ at the paper's 100th
    /// and 600th of 1000 epochs.
    fn default() -> Self {
        Self {
            alpha: 1.0,
            ramp: (0.1, 0.6),
        }
    }
}

impl PseudoLabelConfig {
    /// α at step `step` of `steps`.
    pub fn alpha_at(&self, step: u64, steps: u64) -> f64 {
        let t = step as f64 / steps.max(1) as f64;
        let (from, to) = self.ramp;
        if t < from {
            0.0
        } else if t < to {
            self.alpha * (t - from) / (to - from)
        } else {
            self.alpha
        }
    }
}

/// Learning from labels and the net's own answers.
pub(crate) struct PseudoLabel<'a> {
    sets: TwoSets<'a>,
    config: PseudoLabelConfig,
    steps: u64,
    entropy: Mean,
}

impl<'a> PseudoLabel<'a> {
    /// As `setup` says.
    pub(crate) fn new(setup: &Setup<'a>, config: PseudoLabelConfig) -> Self {
        Self {
            sets: TwoSets::new(setup, vec![setup.strong]),
            config,
            steps: setup.fit.steps,
            entropy: Mean::default(),
        }
    }
}

impl<N: Classifier> Objective<N> for PseudoLabel<'_> {
    fn loss(&mut self, net: &N, step: u64, pass: &mut Pass<'_>) -> Tensor<1> {
        let mut images = self.sets.next(step);
        let alpha = self.config.alpha_at(step, self.steps);
        let n = images.classes.len();
        // Without weight the unlabeled images are not even normalized with: labels alone.
        if alpha == 0.0 {
            return soft_cross_entropy(net.forward(images.labeled, pass), images.targets);
        }
        let unlabeled = images.views.remove(0);
        let all = n + unlabeled.dims()[0];
        let logits = net.forward(Tensor::cat(vec![images.labeled, unlabeled], 0), pass);
        let (with_label, without) = (slice(&logits, 0, n), slice(&logits, n, all));
        let classes = self.sets.classes();
        let probabilities = softened(&without, 1.0);
        self.entropy.add(entropy(&probabilities, classes));
        let own: Vec<u8> = probabilities
            .chunks_exact(classes)
            .map(|row| argmax(row) as u8)
            .collect();
        let own = one_hot(&own, classes, 0.0, self.sets.device());
        soft_cross_entropy(with_label, images.targets) + soft_cross_entropy(without, own) * alpha
    }

    fn images(&self) -> Vec<String> {
        self.sets.images()
    }

    fn figures(&mut self) -> Vec<(&'static str, f64)> {
        vec![("unlabeled_entropy", self.entropy.take())]
    }

    fn waiting(&self) -> f64 {
        self.sets.waiting()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alpha_is_zero_then_rises_then_stays() {
        let config = PseudoLabelConfig {
            alpha: 3.0,
            ramp: (0.1, 0.6),
        };
        let at = |step| config.alpha_at(step, 1000);
        assert_eq!([at(0), at(99), at(100)], [0.0; 3]);
        assert!((at(350) - 1.5).abs() < 1e-12);
        assert_eq!([at(600), at(1000), at(u64::MAX)], [3.0; 3]);
        // A ramp of no length is a step.
        let sudden = PseudoLabelConfig {
            alpha: 3.0,
            ramp: (0.5, 0.5),
        };
        assert_eq!(
            [sudden.alpha_at(499, 1000), sudden.alpha_at(500, 1000)],
            [0.0, 3.0]
        );
    }
}
