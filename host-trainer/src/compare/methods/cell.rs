//! One training of a comparison: a way of learning, a number of labels, a seed.

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::grid::GridSettings;
use crate::data::batch::Normalization;
use crate::data::{Augment, Dataset};
use crate::methods::{
    FixMatch, MetaPseudoLabels, Method, NoisyStudent, PseudoLabel, Setup, Supervised, Uda,
};
use crate::model::{EfficientNet, EfficientNetConfig};
use crate::nn::init::Init;
use crate::random::stream;
use crate::stages::pseudo_labels::{PseudoLabels, select};
use crate::train::evaluate::probabilities;
use crate::train::fit::{Epoch, Objective, Watch, fit};
use crate::train::{FitConfig, FitError, accuracy};

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Learner {
    /// Labels alone, weakly augmented.
    SupervisedWeak,
    /// Labels alone, strongly augmented: what every method has to beat.
    Supervised,
    /// Pseudo-Label.
    PseudoLabel,
    /// A teacher on labels for half of the steps, then a noised student for the other half.
    NoisyStudent,
    /// UDA.
    Uda,
    /// FixMatch.
    #[serde(rename = "fixmatch")]
    FixMatch,
    /// Meta Pseudo Labels.
    MetaPseudoLabels,
}

impl Learner {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::SupervisedWeak => "supervised-weak",
            Self::Supervised => "supervised",
            Self::PseudoLabel => "pseudo-label",
            Self::NoisyStudent => "noisy-student",
            Self::Uda => "uda",
            Self::FixMatch => "fixmatch",
            Self::MetaPseudoLabels => "meta-pseudo-labels",
        }
    }

    /// The rows of these methods: supervised learning has two.
    pub fn rows(methods: &[Method]) -> Vec<Self> {
        let mut rows = vec![Self::SupervisedWeak, Self::Supervised];
        rows.extend(methods.iter().filter_map(|method| match method {
            Method::Supervised => None,
            Method::PseudoLabel => Some(Self::PseudoLabel),
            Method::NoisyStudent => Some(Self::NoisyStudent),
            Method::Uda => Some(Self::Uda),
            Method::FixMatch => Some(Self::FixMatch),
            Method::MetaPseudoLabels => Some(Self::MetaPseudoLabels),
        }));
        rows
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

    fn supervised<'b>(
        &'b self,
        augment: Augment,
        fit: &'b FitConfig,
    ) -> Box<dyn Objective<EfficientNet> + 'b> {
        Box::new(Supervised::new(
            &self.data.labeled,
            self.data.classes.len(),
            (augment, self.normalization),
            fit,
            (self.seed, 0),
            &self.device,
        ))
    }

    fn fit(
        &self,
        config: &FitConfig,
        objective: &mut dyn Objective<EfficientNet>,
        tick: &mut dyn FnMut(),
    ) -> Result<(EfficientNet, Vec<Epoch>, f64), FitError> {
        let mut follow = Follow {
            data: self.data,
            normalization: self.normalization,
            tick,
        };
        let net = self.net("initial weights");
        let fitted = fit(net, config, (self.seed, "noise"), objective, &mut follow)?;
        Ok((fitted.net, fitted.epochs, fitted.seconds))
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
    let (net, epochs, seconds) = learn(cell.learner, &bench, tick)?;
    Ok(Outcome {
        accuracy: accuracy(&net, &data.test, &bench.normalization),
        epochs,
        seconds,
    })
}

type Learned = Result<(EfficientNet, Vec<Epoch>, f64), FitError>;

fn learn(learner: Learner, bench: &Bench<'_>, tick: &mut dyn FnMut()) -> Learned {
    let (settings, fit) = (bench.settings, &bench.settings.fit);
    let setup = Setup {
        data: bench.data,
        normalization: bench.normalization,
        fit,
        unlabeled_ratio: settings.unlabeled_ratio,
        strong: settings.strong,
        weak: settings.weak,
        seed: bench.seed,
        first: 0,
        device: bench.device.clone(),
    };
    let constants = &settings.methods;
    let mut objective: Box<dyn Objective<EfficientNet> + '_> = match learner {
        Learner::SupervisedWeak => bench.supervised(settings.weak, fit),
        Learner::Supervised => bench.supervised(settings.strong, fit),
        Learner::PseudoLabel => Box::new(PseudoLabel::new(&setup, constants.pseudo_label)),
        Learner::Uda => Box::new(Uda::new(&setup, constants.uda)),
        Learner::FixMatch => Box::new(FixMatch::new(&setup, constants.fixmatch)),
        Learner::MetaPseudoLabels => {
            let teacher = bench.net("the teacher's initial weights");
            let (meta, uda) = (constants.meta_pseudo_labels, constants.uda);
            Box::new(MetaPseudoLabels::new(&setup, teacher, meta, uda))
        }
        Learner::NoisyStudent => return noisy_student(bench, tick),
    };
    bench.fit(fit, objective.as_mut(), tick)
}

/// Half of the steps for the teacher, half for its student, which starts anew.
fn noisy_student(bench: &Bench<'_>, tick: &mut dyn FnMut()) -> Learned {
    let settings = bench.settings;
    let half = settings.fit.steps.div_ceil(2);
    let first = FitConfig {
        steps: half,
        ..settings.fit
    };
    let mut objective = bench.supervised(settings.strong, &first);
    let (teacher, mut epochs, seconds) = bench.fit(&first, objective.as_mut(), tick)?;
    drop(objective);
    let (data, classes) = (bench.data, bench.data.classes.len());
    let all = probabilities(&teacher, &data.unlabeled, &bench.normalization);
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
    let second = FitConfig {
        steps: settings.fit.steps - half,
        ..settings.fit
    };
    let mut objective = NoisyStudent::new(
        data,
        &pseudo,
        (settings.strong, bench.normalization),
        (&second, settings.unlabeled_ratio),
        (bench.seed, 0),
        &bench.device,
    );
    let (student, later, more) = bench.fit(&second, &mut objective, tick)?;
    epochs.extend(later.into_iter().map(|e| Epoch {
        step: e.step + half,
        ..e
    }));
    Ok((student, epochs, seconds + more))
}
