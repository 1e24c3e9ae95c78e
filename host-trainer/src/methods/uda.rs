//! Unsupervised Data Augmentation (UDA, arXiv 1904.12848).
//!
//! J = mean CE(y, p(x)) + λ mean KL(p̃(x_u) ‖ p(x̂_u)), p̃ = softmax(z / τ) of the weak view without
//! gradient, x̂ the strong view; unlabeled images with max p ≤ β (of the *untempered* p) count as
//! 0. The cross-entropy here differs from KL by the target's entropy, which has no gradient.
//!
//! Training signal annealing (section 3.3) is [`super::annealing`].
//!
//! Traps: the target alone is sharpened; the mask is on the raw probability; the mean is over all
//! unlabeled images.

use serde::{Deserialize, Serialize};

use super::agreement::{Agreement, Terms};
use super::annealing::Annealing;
use super::consistency::{Rule, Target, TargetPass};
use super::two_sets::Setup;

/// Constants of UDA.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UdaConfig {
    /// λ.
    pub weight: f64,
    /// τ of the target.
    pub temperature: f32,
    /// β.
    pub confidence: f32,
    /// Training signal annealing.
    pub annealing: Annealing,
    /// Whether predictions are aligned with the labels' distribution (arXiv 1911.09785).
    pub align: bool,
    /// How targets are computed.
    pub target_pass: TargetPass,
}

impl Default for UdaConfig {
    /// The paper's for CIFAR-10: λ 1, τ 0.4, β 0.8; other than there, predictions are aligned, and
    /// targets come from the running statistics, which is a third less work.
    fn default() -> Self {
        Self {
            weight: 1.0,
            temperature: 0.4,
            confidence: 0.8,
            annealing: Annealing::None,
            align: true,
            target_pass: TargetPass::Running,
        }
    }
}

impl UdaConfig {
    /// Confident targets, sharpened.
    pub fn rule(&self) -> Rule {
        Rule {
            confidence: self.confidence,
            target: Target::Sharpened(self.temperature),
        }
    }

    /// What a net minimizes by UDA.
    pub fn objective<'a>(&self, setup: &Setup<'a>) -> Agreement<'a> {
        let terms = Terms {
            weight: self.weight,
            rule: self.rule(),
            annealing: self.annealing,
            align: self.align,
            target_pass: self.target_pass,
        };
        Agreement::new(setup, terms)
    }
}
