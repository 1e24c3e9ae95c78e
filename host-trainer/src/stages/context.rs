//! What every stage gets: configuration, data, run directory, progress; and how it fails.

use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::checkpoint::{self, CheckpointError};
use crate::config::RunConfig;
use crate::data::batch::Normalization;
use crate::data::{Dataset, Loader};
use crate::model::{EfficientNet, EfficientNetConfig};
use crate::nn::init::Init;
use crate::nn::noise::Pass;
use crate::progress::Progress;
use crate::random::stream;
use crate::run_dir::{RunDir, RunDirError, SETTINGS, Stage};
use crate::train::{FitConfig, FitError, Snapshot, Snapshots, accuracy, fit};

/// Why a stage ended without its result.
#[derive(Debug, Error)]
pub enum StageError {
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
        source: FitError,
    },
    /// No pseudo-label passes the filter.
    #[error("{0}")]
    NothingKept(String),
    /// The student can't be packed.
    #[error("pack: {0}")]
    Build(String),
    /// A stage is asked for before the one it needs.
    #[error(
        "{wanted} needs what {missing} makes, and {missing} has not ended\n  do:    run {missing} first, or all stages: pupil run"
    )]
    Order {
        /// The stage asked for.
        wanted: &'static str,
        /// The one before it.
        missing: &'static str,
    },
}

/// One run.
pub struct Context<'a> {
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
pub struct Trained {
    /// Trained parameters.
    pub parameters: usize,
    /// Multiply-accumulates of one image.
    pub macs: usize,
    /// Validation accuracy of the averaged weights, 0 to 1.
    pub validation: f64,
    /// Wall time of the training in seconds.
    pub seconds: f64,
}

/// Where a training begins.
pub struct Start {
    name: &'static str,
    snapshot: Option<Snapshot>,
    snapshots: Snapshots,
}

impl Start {
    /// The first step to do.
    pub fn step(&self) -> u64 {
        self.snapshot.as_ref().map_or(0, |s| s.step)
    }
}

impl Context<'_> {
    /// The training device.
    pub fn device(&self) -> Device {
        self.device.clone().autodiff()
    }

    /// A seed for one purpose under the run's.
    pub fn seed(&self, purpose: &str) -> u64 {
        use rand::Rng;
        stream(self.config.seed, purpose, 0).next_u64()
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.data.classes.len()
    }

    /// Where the training called `name` begins: at step 0, or where it was interrupted.
    ///
    /// # Errors
    /// An unwritable run directory, or one without settings.
    pub fn start(&self, stage: Stage, name: &'static str) -> Result<Start, StageError> {
        let folder = self.dir.file(stage, "")?;
        // The directory refuses other settings and images: what it holds stands for them.
        let snapshots = Snapshots::new(&folder, name, self.dir.identity(&SETTINGS)?);
        let found = snapshots.load();
        for (path, why) in &found.damaged {
            self.progress.say(&format!(
                "  {}: damaged ({why}); the state before it is used",
                path.display()
            ));
        }
        if let Some(snapshot) = &found.snapshot {
            self.progress
                .say(&format!("  {name} goes on after step {}", snapshot.step));
        }
        Ok(Start {
            name,
            snapshot: found.snapshot,
            snapshots,
        })
    }

    /// Trains a new net of `config`, writes `name.safetensors` and `name.metrics.jsonl` into the
    /// stage's folder.
    ///
    /// # Errors
    /// A loss that is no number, an unwritable directory.
    pub fn train(
        &self,
        stage: Stage,
        start: Start,
        net_config: &EfficientNetConfig,
        fit_config: &FitConfig,
        work_per_image: f64,
        objective: impl FnMut(&EfficientNet, u64, &mut Pass<'_>) -> burn::tensor::Tensor<1>,
    ) -> Result<(EfficientNet, Trained), StageError> {
        let begun = std::time::Instant::now();
        let Start {
            name,
            snapshot,
            snapshots,
        } = start;
        let seed = self.seed(name);
        let device = self.device();
        let net = net_config.init(&mut Init {
            device: &device,
            rng: &mut stream(seed, "initial weights", 0),
        });
        let step_work = work_per_image * fit_config.batch as f64;
        if let Some(snapshot) = &snapshot {
            self.progress.advance(step_work * snapshot.step as f64);
        }
        let folder = self.dir.file(stage, "")?;
        let (net, epochs) = fit(
            net,
            fit_config,
            (seed, "noise"),
            (snapshot, |snapshot: &Snapshot| {
                let path = folder.clone();
                let fail = |source| FitError::Keep { path, source };
                snapshots.save(snapshot).map_err(fail)
            }),
            objective,
            |net| accuracy(net, &self.data.validation, &self.normalization),
            |_, epoch| {
                self.progress.advance(step_work);
                if let Some(epoch) = epoch {
                    self.progress.epoch(name, epoch, fit_config.steps);
                }
            },
        )
        .map_err(|source| StageError::Fit {
            stage: stage.word(),
            source,
        })?;
        let mut lines = Vec::new();
        for epoch in &epochs {
            lines.extend(serde_json::to_vec(epoch).unwrap_or_default());
            lines.push(b'\n');
        }
        self.dir.write(
            &self.dir.file(stage, &format!("{name}.metrics.jsonl"))?,
            &lines,
        )?;
        let path = self.dir.file(stage, &format!("{name}.safetensors"))?;
        checkpoint::save(&path, net_config, &net)?;
        let trained = Trained {
            parameters: net_config.parameters(),
            macs: net_config.macs(),
            validation: epochs.last().map_or(0.0, |e| e.validation),
            seconds: begun.elapsed().as_secs_f64(),
        };
        Ok((net, trained))
    }

    /// Says what share of a training's time went by waiting for images.
    pub fn waited(&self, loader: &Loader) {
        let percent = 100.0 * loader.waiting();
        self.progress.say(&format!(
            "  {percent:.2} % of the time spent waiting for images"
        ));
    }

    /// The net that an earlier stage saved.
    ///
    /// # Errors
    /// A missing or damaged checkpoint.
    pub fn load(
        &self,
        stage: Stage,
        name: &str,
    ) -> Result<(EfficientNetConfig, EfficientNet), StageError> {
        let path = self.dir.file(stage, &format!("{name}.safetensors"))?;
        Ok(checkpoint::load(&path, &self.device())?)
    }
}

/// Work of training a net on one image: forward, and backward at twice its cost.
pub fn training_work(net: &EfficientNetConfig) -> f64 {
    3.0 * net.macs() as f64
}

/// "163,962".
pub fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, d) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(d);
    }
    text
}
