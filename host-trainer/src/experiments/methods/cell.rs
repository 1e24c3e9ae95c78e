//! One training of a comparison: a way of learning, a number of labels, a seed.

use std::path::PathBuf;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::learner::{Learner, Part};
use super::settings::GridSettings;
use super::unfinished::{ALL, FIRST, SECOND, Unfinished};
use crate::data::batch::Normalization;
use crate::data::{Augment, Dataset};
use crate::eval::accuracy;
use crate::eval::float::probabilities;
use crate::eval::metrics::argmax;
use crate::experiments::packed::{pack, packed_accuracy};
use crate::methods::pretext::{JigsawNet, Pretext, PretextTask, transfer};
use crate::methods::selection::{PseudoLabels, select};
use crate::methods::{Method, Setup};
use crate::net::graph::fold::fold;
use crate::net::{Classifier, EfficientNet, EfficientNetConfig};
use crate::nn::init::Init;
use crate::train::{self, Epoch, FitConfig, FitError, Fitted, Snapshot, Start, Watch};
use crate::util::random::stream;

/// What is trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    /// The way of learning.
    pub learner: Learner,
    /// Labeled images.
    pub labels: usize,
    /// Number of the seed.
    pub number: usize,
}

/// What came out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// Share of right answers on the test images, 0 to 1.
    pub accuracy: f64,
    /// The same of the packed net by core's interpreter, where asked for.
    pub int8: Option<f64>,
    /// Each epoch.
    pub epochs: Vec<Epoch>,
    /// Wall time of the training in seconds.
    pub seconds: f64,
    /// Threads that it had.
    pub threads: usize,
}

/// Follows each step; nothing is chosen by what it sees.
struct Follow<'a> {
    data: &'a Dataset,
    normalization: Normalization,
    /// What validation images are asked; their classes without a task.
    task: Option<PretextTask>,
    start: Start,
    tick: &'a mut dyn FnMut(),
}

impl<N: Classifier> Watch<N> for Follow<'_> {
    fn start(&mut self) -> Option<Snapshot> {
        (0..self.start.step()).for_each(|_| (self.tick)());
        self.start.take()
    }

    fn validate(&mut self, net: &N) -> f64 {
        match self.task {
            None => accuracy(net, &self.data.validation, &self.normalization),
            Some(task) => {
                let images = &self.data.validation.images;
                task.accuracy(net, images, &self.normalization)
            }
        }
    }

    fn report(&mut self, _step: u64, _epoch: Option<&Epoch>) {
        (self.tick)();
    }

    fn keep(&mut self, snapshot: &Snapshot) -> Result<Option<PathBuf>, FitError> {
        if let Some(lost) = self.data.failure() {
            return Err(FitError::Lost(lost));
        }
        self.start.keep(snapshot).map(Some)
    }
}

/// A training's parts that are the same for every way of learning.
struct Bench<'a> {
    settings: &'a GridSettings,
    data: &'a Dataset,
    normalization: Normalization,
    net: EfficientNetConfig,
    seed: u64,
    device: Device,
    unfinished: &'a Unfinished<'a>,
}

impl Bench<'_> {
    fn net(&self, name: &str) -> EfficientNet {
        self.net.init(&mut Init {
            device: &self.device,
            rng: &mut stream(self.seed, name, 0),
        })
    }

    /// A net that has learned by `method` as `how` says, from `net` on; `part` is what this part of
    /// the training is called.
    fn learn(
        &self,
        part: &str,
        (method, net): (Method, EfficientNet),
        how: &How,
        pseudo: &PseudoLabels,
        tick: &mut dyn FnMut(),
    ) -> Result<Fitted<EfficientNet>, FitError> {
        let settings = self.settings;
        let start = self.unfinished.start(part, how.fit.steps)?;
        let setup = Setup {
            data: self.data,
            normalization: self.normalization,
            fit: &how.fit,
            unlabeled_ratio: settings.unlabeled_ratio,
            strong: how.augment,
            weak: settings.weak,
            seed: self.seed,
            first: start.step(),
            device: self.device.clone(),
        };
        let teacher = || Ok(self.net("the teacher's initial weights"));
        let mut objective = method.objective(&setup, &settings.methods, pseudo, teacher)?;
        let mut follow = self.follow(None, start, tick);
        let noise = (self.seed, "noise");
        train::fit(net, &how.fit, noise, objective.as_mut(), &mut follow)
    }

    fn follow<'b>(
        &'b self,
        task: Option<PretextTask>,
        start: Start,
        tick: &'b mut dyn FnMut(),
    ) -> Follow<'b> {
        Follow {
            data: self.data,
            normalization: self.normalization,
            task,
            start,
            tick,
        }
    }

    /// The settings' training, changes and number of steps.
    fn how(&self, steps: u64) -> How {
        How {
            fit: FitConfig {
                steps,
                ..self.settings.fit
            },
            augment: self.settings.strong,
        }
    }
}

/// How a net learns.
struct How {
    fit: FitConfig,
    augment: Augment,
}

/// Trains `cell` on `data`, which has its labels, and measures it; with the packed net where it is
/// asked for. `tick` follows each step, those that `unfinished` has kept of an earlier run too.
///
/// # Errors
/// A loss that is no number, a net that can't be packed, an unwritable directory.
pub(crate) fn train(
    cell: Cell,
    settings: &GridSettings,
    data: &Dataset,
    unfinished: &Unfinished<'_>,
    tick: &mut dyn FnMut(),
) -> anyhow::Result<(Outcome, Option<Vec<u8>>)> {
    use rand::Rng;
    // All ways of learning begin with the same weights and see the same labeled images.
    let seed = stream(settings.seed, "compare seed", cell.number as u64).next_u64();
    let bench = Bench {
        settings,
        data,
        normalization: Normalization::around(data.mean_pixel()),
        net: settings.net.resolve(data.dims(), data.classes.len()),
        seed,
        device: Device::flex().autodiff(),
        unfinished,
    };
    let steps = settings.fit.steps;
    let mut how = bench.how(steps);
    let fitted = match cell.learner {
        Learner::By(Method::NoisyStudent) => noisy_student(&bench, None, tick),
        Learner::Without(part) => noisy_student(&bench, Some(part), tick),
        Learner::Pretext(task) => pretext(&bench, task, tick),
        learner => {
            if learner == Learner::SupervisedWeak {
                how.augment = settings.weak;
            }
            let net = bench.net("initial weights");
            let method = learner.method();
            bench.learn(ALL, (method, net), &how, &PseudoLabels::default(), tick)
        }
    }?;
    let packed = settings
        .int8
        .then(|| pack(&fold(&bench.net, &fitted.net), data, &bench.normalization))
        .transpose()?;
    let int8 = packed.as_deref().map(|bytes| packed_accuracy(bytes, data));
    let outcome = Outcome {
        accuracy: accuracy(&fitted.net, &data.test, &bench.normalization),
        int8: int8.transpose()?,
        epochs: fitted.epochs,
        seconds: fitted.seconds,
        threads: rayon::current_num_threads(),
    };
    Ok((outcome, packed))
}

/// Half of the steps for the teacher, half for its student, which starts anew and maybe lacks a
/// part of the method.
fn noisy_student(
    bench: &Bench<'_>,
    without: Option<Part>,
    tick: &mut dyn FnMut(),
) -> Result<Fitted<EfficientNet>, FitError> {
    let settings = bench.settings;
    let half = settings.fit.steps.div_ceil(2);
    let teacher = bench.learn(
        FIRST,
        (Method::Supervised, bench.net("initial weights")),
        &bench.how(half),
        &PseudoLabels::default(),
        tick,
    )?;
    let (data, classes) = (bench.data, bench.data.classes.len());
    let mut all = probabilities(&teacher.net, &data.unlabeled, &bench.normalization);
    let labels = settings.pseudo_labels;
    let (mut indices, _) = select(&all, classes, labels.threshold, labels.balance);
    if indices.is_empty() || without == Some(Part::FilterAndBalance) {
        // A teacher unsure of everything: its answers still teach, as soft labels do.
        indices = (0..data.unlabeled.len()).collect();
    }
    let mut how = bench.how(settings.fit.steps - half);
    match without {
        None | Some(Part::FilterAndBalance) => {}
        Some(Part::Augmentation) => how.augment = settings.weak,
        Some(Part::Dropout) => how.fit.dropout = 0.0,
        Some(Part::StochasticDepth) => how.fit.drop_path = 0.0,
        Some(Part::Noise) => {
            how.augment = settings.weak;
            (how.fit.dropout, how.fit.drop_path) = (0.0, 0.0);
        }
        Some(Part::SoftLabels) => {
            for row in all.chunks_exact_mut(classes) {
                let best = argmax(row);
                row.fill(0.0);
                row[best] = 1.0;
            }
        }
    }
    let pseudo = PseudoLabels {
        indices,
        probabilities: all,
    };
    let net = bench.net("initial weights");
    let student = bench.learn(SECOND, (Method::NoisyStudent, net), &how, &pseudo, tick)?;
    Ok(both(half, (teacher.epochs, teacher.seconds), student))
}

/// Half of the steps for the task, half for the labels.
fn pretext(
    bench: &Bench<'_>,
    task: PretextTask,
    tick: &mut dyn FnMut(),
) -> Result<Fitted<EfficientNet>, FitError> {
    let settings = bench.settings;
    let half = settings.fit.steps.div_ceil(2);
    // The answers are exact: nothing is smoothed or dropped.
    let fit = FitConfig {
        dropout: 0.0,
        label_smoothing: 0.0,
        ..bench.how(half).fit
    };
    let start = bench.unfinished.start(FIRST, fit.steps)?;
    let mut objective = Pretext::new(
        task,
        bench.data.pool(),
        (settings.weak, bench.normalization),
        &fit,
        (bench.seed, start.step()),
        &bench.device,
    );
    let config = settings
        .net
        .resolve(task.dims(bench.data.dims()), task.classes());
    let rng = &mut stream(bench.seed, "initial weights", 0);
    let init = &mut Init {
        device: &bench.device,
        rng,
    };
    let noise = (bench.seed, "pretext noise");
    let mut follow = bench.follow(Some(task), start, tick);
    let (trunk, epochs, seconds) = if task == PretextTask::Jigsaw {
        let net = JigsawNet::new(&config, init);
        let fitted = train::fit(net, &fit, noise, &mut objective, &mut follow)?;
        (fitted.net.net, fitted.epochs, fitted.seconds)
    } else {
        let net = config.init(init);
        let fitted = train::fit(net, &fit, noise, &mut objective, &mut follow)?;
        (fitted.net, fitted.epochs, fitted.seconds)
    };
    let net = transfer(&trunk, bench.net("initial weights")).map_err(FitError::Foreign)?;
    let how = bench.how(settings.fit.steps - half);
    let fitted = bench.learn(
        SECOND,
        (Method::Supervised, net),
        &how,
        &PseudoLabels::default(),
        tick,
    )?;
    Ok(both(half, (epochs, seconds), fitted))
}

/// A training of two parts, the first of `half` steps.
fn both(
    half: u64,
    (epochs, seconds): (Vec<Epoch>, f64),
    second: Fitted<EfficientNet>,
) -> Fitted<EfficientNet> {
    let later = second.epochs.into_iter().map(|e| Epoch {
        step: e.step + half,
        ..e
    });
    Fitted {
        net: second.net,
        epochs: epochs.into_iter().chain(later).collect(),
        seconds: seconds + second.seconds,
    }
}
