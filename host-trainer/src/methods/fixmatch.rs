//! FixMatch (arXiv 2001.07685, algorithm 1).
//!
//! ℓ = mean CE(y, p(x)) + λ (1/μB) Σ 1[max q ≥ τ] CE(arg max q, p(strong u)), q of the weak
//! view without gradient. The pool of u holds the labeled images too. The paper changes x weakly;
//! here it is changed as the labeled images of every other method are, so that a comparison of
//! methods compares nothing else.
//!
//! Trap: the mean is over all μB unlabeled images, not over those that are confident.

use serde::{Deserialize, Serialize};

use super::agreement::{Agreement, Terms};
use super::annealing::Annealing;
use super::consistency::{Rule, Target, TargetPass};
use super::two_sets::Setup;

/// Constants of FixMatch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FixMatchConfig {
    /// λ.
    pub weight: f64,
    /// τ, the least probability of a pseudo-label.
    pub confidence: f32,
    /// Whether predictions are aligned with the labels' distribution (arXiv 1911.09785).
    pub align: bool,
    /// How targets are computed.
    pub target_pass: TargetPass,
}

impl Default for FixMatchConfig {
    /// The paper's: λ 1, τ 0.95.
    fn default() -> Self {
        Self {
            weight: 1.0,
            confidence: 0.95,
            align: false,
            target_pass: TargetPass::Batch,
        }
    }
}

impl FixMatchConfig {
    /// What a net minimizes by FixMatch.
    pub fn objective<'a>(&self, setup: &Setup<'a>) -> Agreement<'a> {
        let rule = Rule {
            // At least τ, where the rule says above.
            confidence: self.confidence.next_down(),
            target: Target::Hard,
        };
        let terms = Terms {
            weight: self.weight,
            rule,
            annealing: Annealing::None,
            align: self.align,
            target_pass: self.target_pass,
        };
        Agreement::new(setup, terms)
    }
}
