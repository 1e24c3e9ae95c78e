//! One training of a comparison: a way of learning, a number of labels, a seed.

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::grid::GridSettings;
use crate::data::Dataset;
use crate::data::batch::Normalization;
use crate::methods::{Method, Setup};
use crate::model::{EfficientNet, EfficientNetConfig};
use crate::nn::init::Init;
use crate::random::stream;
use crate::stages::pseudo_labels::{PseudoLabels, select};
use crate::train::evaluate::probabilities;
use crate::train::{self, Epoch, FitConfig, FitError, Fitted, Watch, accuracy};

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "&'static str")]
pub enum Learner {
    /// Labels alone, weakly augmented.
    SupervisedWeak,
    /// A method under strong augmentation. Labels alone are what every other has to beat; Noisy
    /// Student is a teacher on labels for half of the steps, then its student for the other half.
    By(Method),
}

impl From<Learner> for &'static str {
    fn from(learner: Learner) -> Self {
        learner.word()
    }
}

impl Learner {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::SupervisedWeak => "supervised-weak",
            Self::By(method) => method.word(),
        }
    }

    /// How it learns.
    pub fn method(self) -> Method {
        match self {
            Self::SupervisedWeak => Method::Supervised,
            Self::By(method) => method,
        }
    }

    /// The rows of these methods, behind both ways of learning from labels alone.
    pub fn rows(methods: &[Method]) -> Vec<Self> {
        let others = methods.iter().filter(|m| **m != Method::Supervised);
        [Self::SupervisedWeak, Self::By(Method::Supervised)]
            .into_iter()
            .chain(others.map(|m| Self::By(*m)))
            .collect()
    }
}

/// What is trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The way of learning.
    pub learner: Learner,
    /// Labeled images.
    pub labels: usize,
    /// Number of the seed.
    pub number: usize,
}

/// What came out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Share of right answers on the test images, 0 to 1.
    pub accuracy: f64,
    /// Each epoch.
    pub epochs: Vec<Epoch>,
    /// Wall time of the training in seconds.
    pub seconds: f64,
}

/// Follows each step; nothing is chosen by what it sees.
struct Follow<'a> {
    data: &'a Dataset,
    normalization: Normalization,
    tick: &'a mut dyn FnMut(),
}

impl Watch<EfficientNet> for Follow<'_> {
    fn validate(&mut self, net: &EfficientNet) -> f64 {
        accuracy(net, &self.data.validation, &self.normalization)
    }

    fn report(&mut self, _step: u64, _epoch: Option<&Epoch>) {
        (self.tick)();
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
}

impl Bench<'_> {
    fn net(&self, name: &str) -> EfficientNet {
        self.net.init(&mut Init {
            device: &self.device,
            rng: &mut stream(self.seed, name, 0),
        })
    }

    /// A new net that has learned by `learner` for `fit`.
    fn learn(
        &self,
        learner: Learner,
        fit: &FitConfig,
        pseudo: &PseudoLabels,
        tick: &mut dyn FnMut(),
    ) -> Result<Fitted<EfficientNet>, FitError> {
        let settings = self.settings;
        let setup = Setup {
            data: self.data,
            normalization: self.normalization,
            fit,
            unlabeled_ratio: settings.unlabeled_ratio,
            strong: match learner {
                Learner::SupervisedWeak => settings.weak,
                Learner::By(_) => settings.strong,
            },
            weak: settings.weak,
            seed: self.seed,
            first: 0,
            device: self.device.clone(),
        };
        let teacher = || Ok(self.net("the teacher's initial weights"));
        let method = learner.method();
        let mut objective = method.objective(&setup, &settings.methods, pseudo, teacher)?;
        let mut follow = Follow {
            data: self.data,
            normalization: self.normalization,
            tick,
        };
        let net = self.net("initial weights");
        let noise = (self.seed, "noise");
        train::fit(net, fit, noise, objective.as_mut(), &mut follow)
    }
}

/// Trains `cell` on `data`, which has its labels, and measures it. `tick` follows each step.
///
/// # Errors
/// A loss that is no number.
pub fn train(
    cell: Cell,
    settings: &GridSettings,
    data: &Dataset,
    tick: &mut dyn FnMut(),
) -> Result<Outcome, FitError> {
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
    };
    let fitted = match cell.learner {
        Learner::By(Method::NoisyStudent) => noisy_student(&bench, tick),
        learner => bench.learn(learner, &settings.fit, &PseudoLabels::default(), tick),
    }?;
    Ok(Outcome {
        accuracy: accuracy(&fitted.net, &data.test, &bench.normalization),
        epochs: fitted.epochs,
        seconds: fitted.seconds,
    })
}

/// Half of the steps for the teacher, half for its student, which starts anew.
fn noisy_student(
    bench: &Bench<'_>,
    tick: &mut dyn FnMut(),
) -> Result<Fitted<EfficientNet>, FitError> {
    let settings = bench.settings;
    let half = settings.fit.steps.div_ceil(2);
    let part = |steps| FitConfig {
        steps,
        ..settings.fit
    };
    let alone = Learner::By(Method::Supervised);
    let teacher = bench.learn(alone, &part(half), &PseudoLabels::default(), tick)?;
    let (data, classes) = (bench.data, bench.data.classes.len());
    let all = probabilities(&teacher.net, &data.unlabeled, &bench.normalization);
    let labels = settings.pseudo_labels;
    let (mut indices, _) = select(&all, classes, labels.threshold, labels.balance);
    if indices.is_empty() {
        // A teacher unsure of everything: its answers still teach, as soft labels do.
        indices = (0..data.unlabeled.len()).collect();
    }
    let pseudo = PseudoLabels {
        indices,
        probabilities: all,
    };
    let rest = part(settings.fit.steps - half);
    let student = bench.learn(Learner::By(Method::NoisyStudent), &rest, &pseudo, tick)?;
    let later = student.epochs.into_iter().map(|e| Epoch {
        step: e.step + half,
        ..e
    });
    Ok(Fitted {
        net: student.net,
        epochs: teacher.epochs.into_iter().chain(later).collect(),
        seconds: teacher.seconds + student.seconds,
    })
}
