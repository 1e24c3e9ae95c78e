//! A stage's nets: one, or the members of an ensemble, which are trained side by side.

use super::context::{Context, StageError, Trained};
use crate::config::{NetChoice, RunConfig};
use crate::eval::accuracy;
use crate::net::Ensemble;
use crate::nn::ops::is_fused;
use crate::run::settings;
use crate::run::stage::Stage;
use crate::util::numbers::thousands;
use crate::util::threads::side_by_side;

impl Context<'_> {
    /// The nets of a stage that are called `name`, one for each member of the ensemble: `train`
    /// is asked, with its number and name, for each one that an earlier run has not ended, side by
    /// side on a CPU; `work` is the work of one. Returns the sums of their parameters and times,
    /// and the validation accuracy of their mean answer.
    ///
    /// # Errors
    /// Those of `train`; a damaged file.
    pub(crate) fn train_members(
        &self,
        stage: Stage,
        name: &str,
        work: f64,
        train: &(dyn Fn(usize, &str) -> Result<Trained, StageError> + Sync),
    ) -> Result<Trained, StageError> {
        // A GPU is one for all.
        let jobs = if is_fused(&self.device) {
            rayon::current_num_threads()
        } else {
            1
        };
        let members = side_by_side(self.config.ensemble, jobs, |i| {
            let name = member(name, i);
            match self.done_before(stage, &name, work)? {
                Some(trained) => Ok(trained),
                None => train(i, &name),
            }
        })?;
        let mut all = members[0].clone();
        for one in &members[1..] {
            all.parameters += one.parameters;
            all.macs += one.macs;
            all.seconds += one.seconds;
        }
        if members.len() > 1 {
            let nets = self.ensemble(stage, name)?;
            all.validation = accuracy(&nets, &self.data.validation, &self.normalization);
            self.progress.say(&format!(
                "  mean answer of {} nets   validation {:.1} %",
                members.len(),
                100.0 * all.validation
            ));
        }
        Ok(all)
    }

    /// What an earlier run says of the net called `name`, if it has trained it to its end; `work`
    /// is the work of that.
    ///
    /// What is damaged counts as not done, which is said.
    ///
    /// # Errors
    /// An unwritable directory.
    pub(crate) fn done_before(
        &self,
        stage: Stage,
        name: &str,
        work: f64,
    ) -> Result<Option<Trained>, StageError> {
        let about = self.dir.file(stage, &format!("{name}.json"))?;
        let found = self.dir.training(stage, &about).and_then(|record| {
            let Some(record) = record else {
                return Ok(None);
            };
            match settings::other(&record, self.config, stage) {
                Some(_) => Err(format!("{name}.json: made with other settings")),
                None => record.summary().map(Some),
            }
        });
        match found {
            Ok(Some(trained)) => {
                self.progress.skip(work);
                self.progress.say(&format!("  {name} done before"));
                Ok(Some(trained))
            }
            Ok(None) => Ok(None),
            Err(why) => {
                let folder = about.parent().unwrap_or(&about).display();
                self.progress
                    .say(&format!("  {folder}/{why}; {name} is trained again"));
                Ok(None)
            }
        }
    }

    /// The nets of `stage` that are called `name`, one for each member of the ensemble.
    ///
    /// # Errors
    /// A missing or damaged checkpoint.
    pub(crate) fn ensemble(&self, stage: Stage, name: &str) -> Result<Ensemble, StageError> {
        let nets = (0..self.config.ensemble)
            .map(|i| Ok(self.load(stage, &member(name, i))?.1))
            .collect::<Result<_, StageError>>()?;
        Ok(Ensemble { nets })
    }
}

/// What a member of an ensemble is called, from 0 on: the first one as if it were alone.
pub(super) fn member(name: &str, number: usize) -> String {
    match number {
        0 => name.to_owned(),
        _ => format!("{name}-net-{}", number + 1),
    }
}

/// "EfficientNet tiny, width 2, 163,962 parameters" of one net, or "2 nets, each an …".
pub(super) fn nets(config: &RunConfig, net: &NetChoice, parameters: usize) -> String {
    let one = format!("{}, {} parameters", net.title(), thousands(parameters));
    match config.ensemble {
        1 => one,
        many => format!("{many} nets, each {one}"),
    }
}
