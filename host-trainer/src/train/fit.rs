//! One training run: steps, optimizer, average, epochs.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::ema::Ema;
use super::optimizer::{AdamW, ModuleOptimizer, OptimizerConfig};
use super::schedule::CosineSchedule;
use super::snapshot::Snapshot;
use crate::model::EfficientNet;
use crate::nn::noise::{Noise, Pass};
use crate::nn::values::{assign, collect};
use crate::random::stream;

/// What every training stage sets.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FitConfig {
    /// Updates of the weights.
    pub steps: u64,
    /// Images of a step, labeled and unlabeled together.
    pub batch: usize,
    /// Peak of the cosine schedule, after a warm-up of 5 % of the steps.
    pub learning_rate: f64,
    /// AdamW's decoupled weight decay (arXiv 1711.05101).
    pub weight_decay: f64,
    /// Decay of the weights' moving average.
    pub ema: f64,
    /// Share of label mass spread over all classes.
    pub label_smoothing: f32,
    /// Dropout before the classifier.
    pub dropout: f32,
    /// Stochastic depth of the last block.
    pub drop_path: f32,
}

/// Steps between two looks at validation images, metrics lines, progress lines and snapshots, at
/// most.
const EPOCH_STEPS: u64 = 200;

/// The same for a training of `steps`: at least five epochs.
pub fn epoch_steps(steps: u64) -> u64 {
    steps.div_ceil(5).clamp(1, EPOCH_STEPS)
}

/// One line of `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Steps done.
    pub step: u64,
    /// Mean training loss since the last epoch.
    pub loss: f64,
    /// Learning rate of the last step.
    pub learning_rate: f64,
    /// Accuracy of the averaged weights on the validation images, 0 to 1.
    pub validation: f64,
}

/// Why training stopped early.
#[derive(Debug, Error)]
pub enum FitError {
    /// The loss is no number any more.
    #[error(
        "the loss became {loss} at step {step}\n  why:   the learning rate is too high for these images, or the images are damaged\n  do:    lower learning_rate ({rate}) of this stage in run.toml"
    )]
    NotFinite {
        /// The step.
        step: u64,
        /// NaN or an infinity.
        loss: f32,
        /// The configured peak rate.
        rate: f64,
    },
    /// A snapshot that does not fit the net, though its configuration is the same.
    #[error("the interrupted training can't go on: {0}\n  do:    start this run over with --fresh")]
    Foreign(String),
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

/// Trains `net` and returns it with averaged weights.
///
/// `objective(net, step, pass)` is the loss of one step; `validate` gets the averaged net every
/// [`epoch_steps`] steps and at the end and returns its validation accuracy; `report` follows
/// each step. With a snapshot the training goes on where it was taken, to the same bits; `keep`
/// gets one after each epoch; the last one's gives the finished net without a step.
///
/// # Errors
/// A loss that is no number, a snapshot of another net, or what `keep` reports.
pub fn fit(
    mut net: EfficientNet,
    config: &FitConfig,
    (seed, name): (u64, &str),
    (start, mut keep): (
        Option<Snapshot>,
        impl FnMut(&Snapshot) -> Result<(), FitError>,
    ),
    mut objective: impl FnMut(&EfficientNet, u64, &mut Pass<'_>) -> Tensor<1>,
    mut validate: impl FnMut(&EfficientNet) -> f64,
    mut report: impl FnMut(u64, Option<&Epoch>),
) -> Result<(EfficientNet, Vec<Epoch>), FitError> {
    let schedule = CosineSchedule {
        peak: config.learning_rate,
        warmup: config.steps / 20,
        steps: config.steps,
    };
    let optimizer = OptimizerConfig::AdamW(AdamW {
        weight_decay: config.weight_decay as f32,
        ..AdamW::default()
    });
    let mut optimizer = ModuleOptimizer::new(optimizer, None);
    let mut ema = Ema::new(config.ema, collect(&net));
    let (mut first, mut epochs) = (0, Vec::new());
    if let Some(snapshot) = start {
        if snapshot.average.len() != snapshot.net.len() || snapshot.step > config.steps {
            return Err(FitError::Foreign("its parts do not match".into()));
        }
        net = assign(net, &snapshot.net).map_err(FitError::Foreign)?;
        ema = Ema::new(config.ema, snapshot.average).after(snapshot.updates);
        optimizer = optimizer.after(snapshot.step, snapshot.optimizer);
        (first, epochs) = (snapshot.step, snapshot.epochs);
    }
    let every = epoch_steps(config.steps);
    let (mut sum, mut count) = (0.0, 0u32);
    for step in first..config.steps {
        let rate = schedule.rate(step);
        let mut noise = Noise {
            dropout: config.dropout,
            drop_path: config.drop_path,
            rng: stream(seed, name, step),
        };
        let loss = objective(&net, step, &mut Pass::Train(&mut noise));
        let value = loss.clone().into_scalar::<f32>();
        if !value.is_finite() {
            return Err(FitError::NotFinite {
                step,
                loss: value,
                rate: config.learning_rate,
            });
        }
        net = optimizer.step(net, &loss.backward(), rate, &mut ema);
        (sum, count) = (sum + f64::from(value), count + 1);
        let done = step + 1;
        if done % every != 0 && done != config.steps {
            report(done, None);
            continue;
        }
        let averaged = averaged(&net, &ema);
        let epoch = Epoch {
            step: done,
            loss: sum / f64::from(count),
            learning_rate: rate,
            validation: validate(&averaged),
        };
        (sum, count) = (0.0, 0);
        report(done, Some(&epoch));
        epochs.push(epoch);
        keep(&Snapshot {
            step: done,
            net: collect(&net),
            average: ema.values().to_vec(),
            updates: ema.updates(),
            optimizer: optimizer.states().to_vec(),
            epochs: epochs.clone(),
        })?;
    }
    Ok((averaged(&net, &ema), epochs))
}

/// A copy of `net` with the averaged numbers; the copy shares nothing with `net`.
fn averaged(net: &EfficientNet, ema: &Ema) -> EfficientNet {
    use burn::module::Module;
    // `valid` and `train` detach the running statistics, which plain clones share.
    let copy = net.valid().train();
    assign(copy, ema.values()).expect("the average has the net's entries")
}
