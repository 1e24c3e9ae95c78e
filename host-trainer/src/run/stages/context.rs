//! What every stage gets: configuration, data, run directory, progress; and how it fails.

use std::path::PathBuf;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::config::RunConfig;
use crate::data::Dataset;
use crate::data::batch::Normalization;
use crate::eval::accuracy;
use crate::net::{Classifier, EfficientNet, EfficientNetConfig, checkpoint};
use crate::nn::init::Init;
use crate::run::dir::{RunDir, SETTINGS};
use crate::run::error::{CheckpointError, RunDirError};
use crate::run::progress::Progress;
use crate::run::stage::Stage;
use crate::train::{Epoch, FitConfig, FitError, Fitted, Objective, Snapshot, Start, Watch, fit};
use crate::util::random::stream;

/// Why a stage ended without its result.
#[derive(Debug, Error)]
pub(crate) enum StageError {
    /// A file of the run directory.
    #[error(transparent)]
    RunDir(#[from] RunDirError),
    /// A net's file.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Training.
    #[error("{stage}: {source}")]
    Fit {
        /// The stage's word.
        stage: &'static str,
        /// What happened.
        source: Box<FitError>,
    },
    /// No pseudo-label passes the filter, or none of some classes.
    #[error("{0}")]
    NothingKept(String),
    /// The net can't begin as it is told to.
    #[error("teacher: {0}")]
    Beginning(String),
    /// The student can't be packed.
    #[error("pack: {0}")]
    Build(String),
    /// A stage is asked for before the one it needs.
    #[error(
        "{wanted} needs what {missing} makes, and {missing} has not ended\n  do:    run {missing} first, or all stages: {}",
        crate::util::call::call("run")
    )]
    Order {
        /// The stage asked for.
        wanted: &'static str,
        /// The one before it.
        missing: &'static str,
    },
}

/// One run.
pub(crate) struct Context<'a> {
    /// What was asked.
    pub config: &'a RunConfig,
    /// Where results go.
    pub dir: &'a RunDir,
    /// The images.
    pub data: &'a Dataset,
    /// Pixels to real values.
    pub normalization: Normalization,
    /// Where nets are trained and asked, without autodiff.
    pub device: Device,
    /// Lines on stderr.
    pub progress: &'a Progress,
}

/// A trained net's summary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Trained {
    /// Trained parameters.
    pub parameters: usize,
    /// Multiply-accumulates of one image.
    pub macs: usize,
    /// Validation accuracy of the averaged weights, 0 to 1.
    pub validation: f64,
    /// Wall time of the training in seconds; the sum of an ensemble's.
    pub seconds: f64,
}

/// A training: what net, how, and what is kept of it.
pub(crate) struct Training<'a, N> {
    /// The net before its first step.
    pub net: N,
    /// The configuration that is saved with it.
    pub config: &'a EfficientNetConfig,
    /// How it is trained.
    pub fit: &'a FitConfig,
    /// Work of a step on one image.
    pub work_per_image: f64,
    /// Share of right answers on images that are not trained on, 0 to 1.
    pub validate: &'a dyn Fn(&N) -> f64,
    /// The part that is saved.
    pub part: fn(N) -> EfficientNet,
}

/// A stage's training as its user follows it.
struct Follow<'a, 'c, N> {
    ctx: &'a Context<'c>,
    start: Start,
    /// Work of a step, and all steps.
    work: f64,
    steps: u64,
    validate: &'a dyn Fn(&N) -> f64,
}

impl<N> Watch<N> for Follow<'_, '_, N> {
    fn start(&mut self) -> Option<Snapshot> {
        self.start.take()
    }

    fn validate(&mut self, net: &N) -> f64 {
        (self.validate)(net)
    }

    fn report(&mut self, _step: u64, epoch: Option<&Epoch>) {
        self.ctx.progress.advance(self.work);
        if let Some(epoch) = epoch {
            self.ctx.progress.epoch(&self.start.name, epoch, self.steps);
        }
    }

    fn keep(&mut self, snapshot: &Snapshot) -> Result<Option<PathBuf>, FitError> {
        if let Some(lost) = self.ctx.data.failure() {
            return Err(FitError::Lost(lost));
        }
        self.start.keep(snapshot).map(Some)
    }
}

impl Context<'_> {
    /// The training device.
    pub(crate) fn device(&self) -> Device {
        self.device.clone().autodiff()
    }

    /// A seed for one purpose under the run's.
    pub(crate) fn seed(&self, purpose: &str) -> u64 {
        use rand::Rng;
        stream(self.config.seed, purpose, 0).next_u64()
    }

    /// Number of classes.
    pub(crate) fn classes(&self) -> usize {
        self.data.classes.len()
    }

    /// Where the training called `name`, of `steps` steps, begins: at step 0, or where it was
    /// interrupted.
    ///
    /// # Errors
    /// An unwritable run directory, one without settings, or one whose settings have changed.
    pub(crate) fn start(&self, stage: Stage, name: &str, steps: u64) -> Result<Start, StageError> {
        let folder = self.dir.file(stage, "")?;
        // The directory refuses other settings and images: what it holds stands for them.
        let key = self.dir.identity(&SETTINGS)?;
        let say = |line: &str| self.progress.say(line);
        Start::new(&folder, name, (key, steps), &say).map_err(|source| StageError::Fit {
            stage: stage.word(),
            source: Box::new(source),
        })
    }

    /// A new net of `config` for the training called `name`.
    pub(crate) fn new_net(&self, config: &EfficientNetConfig, name: &str) -> EfficientNet {
        config.init(&mut Init {
            device: &self.device(),
            rng: &mut stream(self.seed(name), "initial weights", 0),
        })
    }

    /// Trains a new net of `config`, or goes on with `from`; see [`Self::train_part`].
    ///
    /// # Errors
    /// A loss that is no number, an unwritable directory.
    pub(crate) fn train(
        &self,
        stage: Stage,
        start: Start,
        (config, from): (&EfficientNetConfig, Option<EfficientNet>),
        fit: &FitConfig,
        work_per_image: f64,
        objective: &mut dyn Objective<EfficientNet>,
    ) -> Result<(EfficientNet, Trained), StageError> {
        let training = Training {
            net: from.unwrap_or_else(|| self.new_net(config, &start.name)),
            config,
            fit,
            work_per_image,
            validate: &|net| accuracy(net, &self.data.validation, &self.normalization),
            part: |net| net,
        };
        self.train_part(stage, start, training, objective)
    }

    /// Trains a net; writes `name.metrics.jsonl`, `name.json` and `name.safetensors` into the
    /// stage's folder.
    ///
    /// # Errors
    /// A loss that is no number, an unwritable directory.
    pub(crate) fn train_part<N: Classifier>(
        &self,
        stage: Stage,
        start: Start,
        training: Training<'_, N>,
        objective: &mut dyn Objective<N>,
    ) -> Result<(EfficientNet, Trained), StageError> {
        let name = &start.name.clone();
        let seed = self.seed(name);
        let (net_config, fit_config) = (training.config, training.fit);
        let step_work = training.work_per_image * fit_config.batch as f64;
        self.progress.advance(step_work * start.step() as f64);
        let mut follow = Follow {
            ctx: self,
            start,
            work: step_work,
            steps: fit_config.steps,
            validate: training.validate,
        };
        let fitted = fit(
            training.net,
            fit_config,
            (seed, "noise"),
            objective,
            &mut follow,
        );
        let Fitted {
            net,
            epochs,
            seconds,
        } = fitted.map_err(|source| StageError::Fit {
            stage: stage.word(),
            source: Box::new(source),
        })?;
        let net = (training.part)(net);
        self.waited(objective.waiting());
        let mut lines = Vec::new();
        for epoch in &epochs {
            lines.extend(serde_json::to_vec(epoch).unwrap_or_default());
            lines.push(b'\n');
        }
        let [metrics, net_file, about] =
            ["metrics.jsonl", "safetensors", "json"].map(|ending| format!("{name}.{ending}"));
        self.dir.write(&self.dir.file(stage, &metrics)?, &lines)?;
        let trained = Trained {
            parameters: net_config.parameters(),
            macs: net_config.macs(),
            validation: epochs.last().map_or(0.0, |e| e.validation),
            seconds,
        };
        let path = self.dir.file(stage, &net_file)?;
        let bytes = checkpoint::to_bytes(net_config, &net).map_err(|why| RunDirError::Damaged {
            path: path.clone(),
            why,
        })?;
        self.dir.write(&path, &bytes)?;
        // Last: a training whose record lies there has come to its end.
        let about = self.dir.file(stage, &about)?;
        self.dir
            .finish_training((stage, &about), &trained, &[&metrics, &net_file])?;
        Ok((net, trained))
    }

    /// Says what share of a training's time went by waiting for images.
    fn waited(&self, share: f64) {
        let percent = 100.0 * share;
        self.progress.say(&format!(
            "  {percent:.2} % of the time spent waiting for images"
        ));
    }

    /// The net that an earlier stage saved.
    ///
    /// # Errors
    /// A missing or damaged checkpoint.
    pub(crate) fn load(
        &self,
        stage: Stage,
        name: &str,
    ) -> Result<(EfficientNetConfig, EfficientNet), StageError> {
        let file = format!("{name}.safetensors");
        let bytes = self.dir.read(stage, &file)?;
        let path = self.dir.file(stage, &file)?;
        Ok(checkpoint::from_bytes(&bytes, &self.device())
            .map_err(|why| CheckpointError { path, why })?)
    }
}

/// Work of training a net on one image: forward, and backward at twice its cost.
pub(crate) fn training_work(net: &EfficientNetConfig) -> f64 {
    3.0 * net.macs() as f64
}
