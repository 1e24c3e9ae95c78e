//! Learning from labels and from agreeing with oneself: what UDA and FixMatch both are.

use burn::tensor::Tensor;

use super::annealing::{Annealing, annealed};
use super::consistency::{Alignment, Rule, TargetPass, Watched, answers, consistency};
use super::two_sets::{Setup, TwoSets};
use crate::net::Classifier;
use crate::nn::noise::Pass;
use crate::nn::values::{Named, assign};
use crate::train::fit::Objective;

/// What tells one such method from another.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Weight of the unlabeled images.
    pub weight: f64,
    /// How targets are made.
    pub rule: Rule,
    /// Which labeled images count.
    pub annealing: Annealing,
    /// Whether predictions are aligned with the labels' distribution.
    pub align: bool,
    /// How targets are computed.
    pub target_pass: TargetPass,
}

/// Learning from labels and from agreeing with oneself.
pub struct Agreement<'a> {
    sets: TwoSets<'a>,
    terms: Terms,
    steps: u64,
    alignment: Option<Alignment>,
    /// The weights' moving average, where targets are its answers.
    average: Vec<Named>,
    watched: Watched,
}

impl<'a> Agreement<'a> {
    /// As `setup` and `terms` say.
    pub fn new(setup: &Setup<'a>, terms: Terms) -> Self {
        let sets = TwoSets::new(setup, vec![setup.weak, setup.strong]);
        let labels = &setup.data.labeled.labels;
        let alignment = terms.align.then(|| Alignment::new(labels, sets.classes()));
        Self {
            sets,
            terms,
            steps: setup.fit.steps,
            alignment,
            average: Vec::new(),
            watched: Watched::default(),
        }
    }
}

impl<N: Classifier> Objective<N> for Agreement<'_> {
    fn loss(&mut self, net: &N, step: u64, pass: &mut Pass<'_>) -> Tensor<1> {
        let mut images = self.sets.next(step);
        let (terms, classes) = (self.terms, self.sets.classes());
        let threshold = terms.annealing.threshold(step, self.steps, classes);
        // Without weight: labels alone.
        if terms.weight == 0.0 {
            let logits = net.forward(images.labeled, pass);
            return annealed(logits, images.targets, &images.classes, threshold);
        }
        let views = (images.views.remove(0), images.views.remove(0));
        let teacher = match terms.target_pass {
            TargetPass::Batch => None,
            TargetPass::Running => Some(net.valid()),
            TargetPass::Average => {
                Some(assign(net.valid(), &self.average).expect("the average has the net's entries"))
            }
        };
        let answers = answers(net, images.labeled, views, teacher.as_ref(), pass);
        let alignment = self.alignment.as_mut();
        let agree = consistency(&answers, terms.rule, alignment, &mut self.watched);
        annealed(answers.labeled, images.targets, &images.classes, threshold) + agree * terms.weight
    }

    fn averaged(&mut self, average: &[Named]) {
        if self.terms.target_pass == TargetPass::Average {
            average.clone_into(&mut self.average);
        }
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
