//! What is compared: the rows of the table.

use serde::Serialize;

use crate::methods::Method;
use crate::methods::pretext::PretextTask;

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "&'static str")]
pub enum Learner {
    /// Labels alone, weakly augmented.
    SupervisedWeak,
    /// A method under strong augmentation. Labels alone are what every other has to beat; Noisy
    /// Student is a teacher on labels for half of the steps, then its student for the other half.
    By(Method),
    /// A pretext task on all images for half of the steps, labels alone for the other half.
    Pretext(PretextTask),
    /// Noisy Student without a part of itself; its teacher is the same.
    Without(Part),
}

/// What Noisy Student's student may lack (arXiv 1911.04252, table 6 and section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Part {
    /// Weak augmentation in place of the strong one.
    Augmentation,
    /// No dropout.
    Dropout,
    /// No stochastic depth.
    StochasticDepth,
    /// None of the three.
    Noise,
    /// The most probable class in place of all probabilities.
    SoftLabels,
    /// All images, whatever their probability, and classes as they come.
    FilterAndBalance,
}

impl Part {
    /// All.
    pub const ALL: [Self; 6] = [
        Self::Augmentation,
        Self::Dropout,
        Self::StochasticDepth,
        Self::Noise,
        Self::SoftLabels,
        Self::FilterAndBalance,
    ];
}

impl From<Learner> for &'static str {
    fn from(learner: Learner) -> Self {
        learner.word()
    }
}

impl Learner {
    /// All that `--methods all` compares, behind both ways of learning from labels alone.
    pub fn all() -> Vec<Self> {
        let methods = Method::ALL.into_iter().map(Self::By);
        let tasks = [PretextTask::Rotation, PretextTask::Jigsaw];
        methods
            .filter(|l| *l != Self::By(Method::Supervised))
            .chain(tasks.map(Self::Pretext))
            .collect()
    }

    /// The learner of a word of `--methods`.
    pub fn from_word(word: &str) -> Option<Self> {
        let supervised = Self::By(Method::Supervised);
        Self::all()
            .into_iter()
            .chain([supervised])
            .find(|l| l.word() == word)
    }

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::SupervisedWeak => "supervised-weak",
            Self::By(method) => method.word(),
            Self::Pretext(task) => task.word(),
            Self::Without(Part::Augmentation) => "without-augmentation",
            Self::Without(Part::Dropout) => "without-dropout",
            Self::Without(Part::StochasticDepth) => "without-stochastic-depth",
            Self::Without(Part::Noise) => "without-noise",
            Self::Without(Part::SoftLabels) => "with-hard-labels",
            Self::Without(Part::FilterAndBalance) => "without-filter",
        }
    }

    /// How its last part learns.
    pub fn method(self) -> Method {
        match self {
            Self::SupervisedWeak | Self::Pretext(_) => Method::Supervised,
            Self::By(method) => method,
            Self::Without(_) => Method::NoisyStudent,
        }
    }

    /// The rows of a comparison of `wanted` in the order of [`Self::all`], each once, behind both
    /// ways of learning from labels alone.
    pub fn rows(wanted: &[Self]) -> Vec<Self> {
        [Self::SupervisedWeak, Self::By(Method::Supervised)]
            .into_iter()
            .chain(Self::all().into_iter().filter(|l| wanted.contains(l)))
            .collect()
    }

    /// The rows of Noisy Student's ablation.
    pub fn ablation() -> Vec<Self> {
        [Method::Supervised, Method::NoisyStudent]
            .into_iter()
            .map(Self::By)
            .chain(Part::ALL.map(Self::Without))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_distinct_and_found() {
        let mut words: Vec<&str> = Learner::all()
            .into_iter()
            .chain(Learner::ablation())
            .map(Learner::word)
            .collect();
        words.sort_unstable();
        words.dedup();
        // Noisy Student is in both.
        assert_eq!(words.len(), 7 + 2 - 1 + 6);
        for learner in Learner::all() {
            assert_eq!(Learner::from_word(learner.word()), Some(learner));
        }
        assert_eq!(Learner::from_word("noise"), None);
    }

    #[test]
    fn rows_have_both_baselines_and_each_learner_once() {
        let jigsaw = Learner::Pretext(PretextTask::Jigsaw);
        let uda = Learner::By(Method::Uda);
        let rows = Learner::rows(&[jigsaw, uda, jigsaw, Learner::By(Method::Supervised)]);
        let supervised = Learner::By(Method::Supervised);
        assert_eq!(rows, [Learner::SupervisedWeak, supervised, uda, jigsaw]);
    }
}
