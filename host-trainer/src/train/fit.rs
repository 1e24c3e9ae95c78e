//! One training run: steps, optimizer, average, epochs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use burn::tensor::Tensor;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::ema::Ema;
use super::epoch::Epoch;
use super::mix::Mix;
use super::optimizer::{ModuleOptimizer, OptimizerKind, State};
use super::schedule::Schedule;
use super::snapshot::Snapshot;
use crate::net::Classifier;
use crate::nn::noise::{Noise, Pass};
use crate::nn::values::{Named, assign, collect};
use crate::util::random::stream;

/// What every training sets.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FitConfig {
    /// Updates of the weights.
    pub steps: u64,
    /// Images of a step, labeled and unlabeled together.
    pub batch: usize,
    /// Peak learning rate, behind the warm-up.
    pub learning_rate: f64,
    /// Share of the steps over which the rate rises linearly to its peak.
    pub warmup: f64,
    /// How the rate falls from there.
    pub schedule: Schedule,
    /// How gradients move weights.
    pub optimizer: OptimizerKind,
    /// Momentum of SGD and RMSProp.
    pub momentum: f32,
    /// AdamW's decoupled weight decay, an L2 penalty of the others; batch norm and biases are
    /// spared.
    pub weight_decay: f64,
    /// Largest norm of all gradients together; 0 for no limit.
    pub clip: f64,
    /// Decay of the weights' moving average.
    pub ema: f64,
    /// Share of label mass spread over all classes.
    pub label_smoothing: f32,
    /// Dropout before the classifier.
    pub dropout: f32,
    /// Stochastic depth of the last block.
    pub drop_path: f32,
    /// α of mixup between labeled images; 0 for none.
    pub mixup: f64,
    /// α of CutMix between labeled images; 0 for none.
    pub cutmix: f64,
}

impl FitConfig {
    /// Steps of the warm-up.
    pub fn warmup_steps(&self) -> u64 {
        // 0.05 · 2500 may be a hair below 125.
        (self.steps as f64 * self.warmup + 1e-6) as u64
    }

    /// Learning rate of step `step`, counted from 0.
    pub fn rate(&self, step: u64) -> f64 {
        let factor = self.schedule.factor(step, self.warmup_steps(), self.steps);
        self.learning_rate * factor
    }

    /// The optimizer before its first step.
    pub fn optimizer(&self) -> ModuleOptimizer {
        let config = self
            .optimizer
            .config(self.momentum, self.weight_decay as f32);
        ModuleOptimizer::new(config, (self.clip > 0.0).then_some(self.clip))
    }

    /// The net's noise at a step.
    fn noise(&self, step: u64, rng: ChaCha8Rng) -> Noise {
        Noise {
            dropout: self.dropout,
            drop_path: self.drop_path,
            step,
            rng,
        }
    }

    /// How labeled images are mixed.
    pub fn mix(&self) -> Mix {
        Mix {
            mixup: self.mixup,
            cutmix: self.cutmix,
        }
    }
}

/// What a method of learning adds to the training loop.
pub trait Objective<N> {
    /// The loss of step `step`, counted from 0.
    fn loss(&mut self, net: &N, step: u64, pass: &mut Pass<'_>) -> Tensor<1>;

    /// Follows the update of step `step`; `net` is the new one.
    fn updated(&mut self, _net: &N, _step: u64) {}

    /// Gets the moving average of weights and running statistics, before the first step and after
    /// each.
    fn averaged(&mut self, _average: &[Named]) {}

    /// Names of the last step's images.
    fn images(&self) -> Vec<String>;

    /// What a method watches beside the loss, as means since the last call.
    fn figures(&mut self) -> Vec<(&'static str, f64)> {
        Vec::new()
    }

    /// Share of the time spent waiting for images, 0 to 1.
    fn waiting(&self) -> f64;

    /// What a method has learned beside the net; kept with it.
    fn state(&self) -> Vec<Named> {
        Vec::new()
    }

    /// Goes on from what [`Self::state`] gave.
    ///
    /// # Errors
    /// The first entry that does not fit.
    fn restore(&mut self, state: &[Named]) -> Result<(), String> {
        match state.first() {
            None => Ok(()),
            Some(entry) => Err(format!("{} belongs to another method", entry.name)),
        }
    }
}

/// Steps between two looks at validation images, metrics lines, progress lines and snapshots, at
/// most.
const EPOCH_STEPS: u64 = 200;

/// The same for a training of `steps`: at least five epochs.
pub(crate) fn epoch_steps(steps: u64) -> u64 {
    steps.div_ceil(5).clamp(1, EPOCH_STEPS)
}

/// Why training stopped early.
#[derive(Debug, Error)]
pub(crate) enum FitError {
    /// The loss is no number any more.
    #[error(
        "the loss became {loss} at step {step}\n  where: {}\n  why:   the learning rate is too high for these images, or the images are damaged\n  do:    lower learning_rate ({rate}) of this stage in run.toml and run it again with --fresh{}",
        some(images), kept(good.as_ref())
    )]
    NotFinite {
        /// The step.
        step: u64,
        /// NaN or an infinity.
        loss: f32,
        /// The configured peak rate.
        rate: f64,
        /// Images of the step.
        images: Vec<String>,
        /// The last state with a finite loss, and the updates that it has.
        good: Option<(PathBuf, u64)>,
    },
    /// Images that can't be read any more: what was learned since is not kept.
    #[error("{0}")]
    Lost(String),
    /// A snapshot that does not fit the net, though its configuration is the same.
    #[error("the interrupted training can't go on: {0}\n  do:    start this run over with --fresh")]
    Foreign(String),
    /// A snapshot of a training with other settings.
    #[error(
        "{path}: kept by a training with other settings\n  why:   the settings of this directory were changed or damaged after it began\n  do:    restore them, or start over with --fresh"
    )]
    OtherSettings {
        /// The snapshot.
        path: PathBuf,
    },
    /// A snapshot that can't be written.
    #[error(
        "{path}: {source}\n  why:   the training keeps its state so that it can go on after an interruption\n  do:    make room or choose another disk with --run-dir DIR, and run again: it goes on from the last state"
    )]
    Keep {
        /// The stage's folder.
        path: std::path::PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
}

/// The first names of many.
fn some(names: &[String]) -> String {
    let first = names.iter().take(8).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(8) {
        0 if names.is_empty() => "a batch of no images".into(),
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

fn kept(good: Option<&(PathBuf, u64)>) -> String {
    good.map_or(String::new(), |(path, step)| {
        format!(
            "\n         the state after step {step} is kept in {}",
            path.display()
        )
    })
}

/// What follows a training from outside.
pub(crate) trait Watch<N> {
    /// Where the training goes on, if it was interrupted.
    fn start(&mut self) -> Option<Snapshot> {
        None
    }

    /// Accuracy of the averaged net on validation images, 0 to 1: every [`epoch_steps`] steps
    /// and at the end.
    fn validate(&mut self, net: &N) -> f64;

    /// Follows each step; with the epoch that it ends.
    fn report(&mut self, step: u64, epoch: Option<&Epoch>);

    /// Gets the state after each epoch and says where it is kept.
    ///
    /// # Errors
    /// What keeps it from being written.
    fn keep(&mut self, _snapshot: &Snapshot) -> Result<Option<PathBuf>, FitError> {
        Ok(None)
    }
}

/// What a training gives.
#[derive(Debug)]
pub(crate) struct Fitted<N> {
    /// The net with averaged weights.
    pub net: N,
    /// Its epochs.
    pub epochs: Vec<Epoch>,
    /// Wall time in seconds, over all interruptions.
    pub seconds: f64,
}

/// Trains `net`.
///
/// `seed` and `name` fix the net's noise. A training that goes on from a snapshot comes to the
/// same bits as one that was never interrupted; the last snapshot gives the finished net without
/// a step.
///
/// # Errors
/// A loss that is no number, a snapshot of another net, or what `watch` reports.
pub(crate) fn fit<N: Classifier>(
    mut net: N,
    config: &FitConfig,
    (seed, name): (u64, &str),
    objective: &mut dyn Objective<N>,
    watch: &mut dyn Watch<N>,
) -> Result<Fitted<N>, FitError> {
    let begun = Instant::now();
    let mut optimizer = config.optimizer();
    let mut ema = Ema::new(config.ema, collect(&net));
    let (mut first, mut epochs, mut good) = (0, Vec::new(), None);
    let mut before = 0.0;
    if let Some(snapshot) = watch.start() {
        belongs(&snapshot, &collect(&net), config.steps).map_err(FitError::Foreign)?;
        net = assign(net, &snapshot.net).map_err(FitError::Foreign)?;
        ema = Ema::new(config.ema, snapshot.average).after(snapshot.updates);
        optimizer = optimizer.after(snapshot.step, snapshot.optimizer);
        objective
            .restore(&snapshot.method)
            .map_err(FitError::Foreign)?;
        (first, epochs, before) = (snapshot.step, snapshot.epochs, snapshot.seconds);
    }
    let every = epoch_steps(config.steps);
    objective.averaged(ema.values());
    let (mut sum, mut count) = (0.0, 0u32);
    for step in first..config.steps {
        let rate = config.rate(step);
        let mut noise = config.noise(step, stream(seed, name, step));
        let loss = objective.loss(&net, step, &mut Pass::Train(&mut noise));
        let value = loss.clone().into_scalar::<f32>();
        if !value.is_finite() {
            return Err(FitError::NotFinite {
                step,
                loss: value,
                rate: config.learning_rate,
                images: objective.images(),
                good,
            });
        }
        net = optimizer.step(net, &loss.backward(), rate, Some(&mut ema));
        objective.updated(&net, step);
        objective.averaged(ema.values());
        (sum, count) = (sum + f64::from(value), count + 1);
        let done = step + 1;
        if done % every != 0 && done != config.steps {
            watch.report(done, None);
            continue;
        }
        let averaged = averaged(&net, &ema);
        let figures = objective.figures();
        let epoch = Epoch {
            step: done,
            loss: sum / f64::from(count),
            learning_rate: rate,
            validation: watch.validate(&averaged),
            figures: named(figures),
        };
        (sum, count) = (0.0, 0);
        watch.report(done, Some(&epoch));
        epochs.push(epoch);
        let kept = watch.keep(&Snapshot {
            step: done,
            net: collect(&net),
            average: ema.values().to_vec(),
            updates: ema.updates(),
            optimizer: optimizer.states().to_vec(),
            method: objective.state(),
            epochs: epochs.clone(),
            seconds: before + begun.elapsed().as_secs_f64(),
        })?;
        good = kept.map(|path| (path, done)).or(good);
    }
    Ok(Fitted {
        net: averaged(&net, &ema),
        epochs,
        seconds: before + begun.elapsed().as_secs_f64(),
    })
}

fn named(figures: Vec<(&str, f64)>) -> BTreeMap<String, f64> {
    let figures = figures.into_iter();
    figures
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// Whether a snapshot is one of a net with the entries `own`, after at most `steps` steps.
fn belongs(snapshot: &Snapshot, own: &[Named], steps: u64) -> Result<(), String> {
    let alike = |list: &[Named]| {
        let pairs = list.iter().zip(own);
        list.len() == own.len()
            && pairs
                .into_iter()
                .all(|(a, b)| (&a.name, &a.dims) == (&b.name, &b.dims))
    };
    if !alike(&snapshot.net) || !alike(&snapshot.average) {
        return Err("it is of another net".into());
    }
    // Statistics and frozen weights have no state: the others' lengths come in the net's order.
    let mut lengths = own.iter().map(|n| n.values.len());
    let in_order = |state: &State| {
        let length = state.first.len().max(state.second.len());
        let even = |list: &[f32]| list.is_empty() || list.len() == length;
        even(&state.first) && even(&state.second) && lengths.any(|l| l == length)
    };
    if snapshot.step > steps
        || snapshot.updates > snapshot.step
        || !snapshot.optimizer.iter().all(in_order)
    {
        return Err("its parts do not match".into());
    }
    Ok(())
}

/// A copy of `net` with the averaged numbers; the copy shares nothing with `net`.
fn averaged<N: Classifier>(net: &N, ema: &Ema) -> N {
    // `valid` and `train` detach the running statistics, which plain clones share.
    let copy = net.valid().train();
    assign(copy, ema.values()).expect("the average has the net's entries")
}
