//! What a comparison keeps of a training that has not ended: an interrupted one goes on, even of
//! hours.

use std::path::Path;

use crate::train::{FitError, Snapshots, Start};

/// Name of a training that has one part.
pub(super) const ALL: &str = "all";
/// Name of the first of two parts.
pub(super) const FIRST: &str = "first";
/// Name of the second of two parts.
pub(super) const SECOND: &str = "second";

/// Where a training keeps its state.
pub(crate) struct Unfinished<'a> {
    /// The folder of its outcome.
    pub folder: &'a Path,
    /// Its name there.
    pub name: &'a str,
    /// All that it depends on.
    pub key: &'a str,
    /// Is told where a training goes on, and of damaged files.
    pub say: &'a (dyn Fn(&str) + Sync),
}

impl Unfinished<'_> {
    /// Name and key of a part.
    fn part(&self, part: &str) -> (String, String) {
        let name = format!("{}-{part}", self.name);
        let key = format!("{} {name}", self.key);
        (name, key)
    }

    /// The part called `part`, of `steps` steps: at its beginning, or where it was interrupted.
    ///
    /// # Errors
    /// As [`Start::new`].
    pub(crate) fn start(&self, part: &str, steps: u64) -> Result<Start, FitError> {
        let (name, key) = self.part(part);
        Start::new(self.folder, &name, (key, steps), self.say)
    }

    /// Forgets all parts: the outcome is kept.
    pub(crate) fn ended(&self) {
        for part in [ALL, FIRST, SECOND] {
            let (name, key) = self.part(part);
            Snapshots::new(self.folder, &name, key).remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;
    use crate::config::RunConfig;
    use crate::experiments::methods::cell::{Cell, Outcome, train};
    use crate::experiments::methods::{GridSettings, Learner};
    use crate::methods::Method;
    use crate::methods::pretext::PretextTask;
    use crate::methods::testing::data;
    use crate::train::FitConfig;

    fn settings() -> GridSettings {
        let run = RunConfig::default();
        let mut net = run.distill.net;
        net.width = 0.25;
        GridSettings {
            version: String::new(),
            data_sha256: String::new(),
            seed: 3,
            int8: false,
            unlabeled_ratio: 1,
            net,
            fit: FitConfig {
                steps: 12,
                batch: 6,
                ..run.student.fit
            },
            weak: run.student.weak,
            strong: run.student.augment,
            pseudo_labels: run.pseudo_labels,
            methods: run.methods,
        }
    }

    /// Trains in `folder` until step `end`.
    fn until(end: usize, learner: Learner, folder: &Path) -> Option<Outcome> {
        let cell = Cell {
            learner,
            labels: 6,
            number: 0,
        };
        let unfinished = Unfinished {
            folder,
            name: "a",
            key: "k",
            say: &|line| assert!(line.contains("goes on after step"), "{line}"),
        };
        let mut steps = 0;
        let mut tick = || {
            steps += 1;
            assert!(steps < end, "interrupted");
        };
        let trained = catch_unwind(AssertUnwindSafe(|| {
            train(cell, &settings(), &data(), &unfinished, &mut tick).unwrap()
        }));
        let (outcome, _) = trained.ok()?;
        assert_eq!(steps, 12);
        unfinished.ended();
        Some(outcome)
    }

    #[test]
    fn an_interrupted_training_ends_as_one_that_never_stopped() {
        for learner in [
            Learner::By(Method::Uda),
            Learner::By(Method::MetaPseudoLabels),
            Learner::By(Method::NoisyStudent),
            Learner::Pretext(PretextTask::Rotation),
        ] {
            let [whole, broken] = [(), ()].map(|()| tempfile::tempdir().unwrap());
            let expected = until(100, learner, whole.path()).unwrap();
            for end in [5, 11] {
                assert_eq!(until(end, learner, broken.path()), None);
            }
            let kept = std::fs::read_dir(broken.path()).unwrap().count();
            assert!(kept > 0, "{learner:?} kept nothing");
            let outcome = until(100, learner, broken.path()).unwrap();
            assert_eq!(outcome.epochs, expected.epochs, "{learner:?}");
            assert_eq!(outcome.accuracy, expected.accuracy, "{learner:?}");
            assert_eq!(std::fs::read_dir(broken.path()).unwrap().count(), 0);
        }
    }
}
