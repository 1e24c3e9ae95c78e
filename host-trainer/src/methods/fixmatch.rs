//! FixMatch (arXiv 2001.07685, algorithm 1).
//!
//! ℓ = mean CE(y, p(weak x)) + λ (1/μB) Σ 1[max q ≥ τ] CE(arg max q, p(strong u)), q of the weak
//! view without gradient. The pool of u holds the labeled images too.
//!
//! Trap: the mean is over all μB unlabeled images, not over those that are confident.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::consistency::{Alignment, Rule, Target, TargetPass, Watched, answers, consistency};
use super::two_sets::{Setup, TwoSets};
use crate::model::Classifier;
use crate::nn::noise::Pass;
use crate::nn::values::Named;
use crate::train::fit::Objective;
use crate::train::loss::soft_cross_entropy;

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

/// Learning from labels and from confident answers.
pub struct FixMatch<'a> {
    sets: TwoSets<'a>,
    config: FixMatchConfig,
    alignment: Option<Alignment>,
    watched: Watched,
}

impl<'a> FixMatch<'a> {
    /// As `setup` says.
    pub fn new(setup: &Setup<'a>, config: FixMatchConfig) -> Self {
        let sets = TwoSets::new(setup, vec![setup.weak, setup.strong]);
        let labels = &setup.data.labeled.labels;
        let alignment = config.align.then(|| Alignment::new(labels, sets.classes()));
        Self {
            sets,
            config,
            alignment,
            watched: Watched::default(),
        }
    }
}

impl<N: Classifier> Objective<N> for FixMatch<'_> {
    fn loss(&mut self, net: &N, step: u64, pass: &mut Pass<'_>) -> Tensor<1> {
        let mut images = self.sets.next(step);
        // Without weight: labels alone.
        if self.config.weight == 0.0 {
            return soft_cross_entropy(net.forward(images.labeled, pass), images.targets);
        }
        let (weak, strong) = (images.views.remove(0), images.views.remove(0));
        let answers = answers(
            net,
            images.labeled,
            (weak, strong),
            self.config.target_pass,
            pass,
        );
        let rule = Rule {
            // At least τ, where the rule says above.
            confidence: self.config.confidence.next_down(),
            target: Target::Hard,
        };
        let agree = consistency(&answers, rule, self.alignment.as_mut(), &mut self.watched);
        soft_cross_entropy(answers.labeled, images.targets) + agree * self.config.weight
    }

    fn images(&self) -> Vec<String> {
        self.sets.images()
    }

    fn figures(&mut self) -> Vec<(&'static str, f64)> {
        self.watched.figures()
    }

    fn waiting(&self) -> f64 {
        self.sets.waiting()
    }

    fn state(&self) -> Vec<Named> {
        self.alignment.iter().map(Alignment::state).collect()
    }

    fn restore(&mut self, state: &[Named]) -> Result<(), String> {
        match &mut self.alignment {
            Some(alignment) => alignment.restore(state.first()),
            None => Ok(()),
        }
    }
}
