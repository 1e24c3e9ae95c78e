//! The tasks as one objective.

use burn::tensor::{Device, Tensor};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::questions::Questions;
use super::{jigsaw, rotation};
use crate::data::batch::{AugmentStream, Normalization, values};
use crate::data::{Augment, Images};
use crate::eval::metrics::share_right;
use crate::methods::OneSet;
use crate::net::Classifier;
use crate::nn::noise::Pass;
use crate::nn::values::numbers;
use crate::train::fit::{FitConfig, Objective};
use crate::train::loss::{one_hot, soft_cross_entropy};
use crate::util::random::stream;

/// What a trunk learns before it sees labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum PretextTask {
    /// Nothing.
    #[default]
    None,
    /// By how many quarter turns an image was turned (arXiv 1803.07728).
    Rotation,
    /// In which of 24 orders four tiles lie (arXiv 1603.09246, at this size with 2x2 tiles).
    Jigsaw,
}

impl PretextTask {
    /// Its word in files and commands.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Rotation => "rotation",
            Self::Jigsaw => "jigsaw",
        }
    }

    /// Number of answers.
    pub fn classes(self) -> usize {
        match self {
            Self::None => 0,
            Self::Rotation => rotation::CLASSES,
            Self::Jigsaw => jigsaw::ORDERS.len(),
        }
    }

    /// Height, width and channels that the net sees of images of `dims`.
    pub fn dims(self, dims: [usize; 3]) -> [usize; 3] {
        match self {
            Self::None | Self::Rotation => dims,
            Self::Jigsaw => {
                let (h, w) = jigsaw::tile_dims(dims);
                [h, w, dims[2]]
            }
        }
    }

    /// Why images of `dims` can't be asked about.
    ///
    /// # Errors
    /// The reason, and what to do.
    pub fn fits(self, [h, w, _]: [usize; 3]) -> Result<(), String> {
        match self {
            Self::Rotation if h != w => Err(format!(
                "pretext = \"rotation\" turns images by a quarter, and {h}x{w} is not square\n  do:    set images.height and images.width to the same size, or choose pretext = \"jigsaw\""
            )),
            Self::Jigsaw if h.min(w) < 8 => Err(format!(
                "pretext = \"jigsaw\" cuts images into four tiles, and {h}x{w} is too small\n  do:    set images.height and images.width to 8 or more"
            )),
            _ => Ok(()),
        }
    }

    /// Images of a batch of `batch` rows; a jigsaw's four tiles are as large as one row.
    fn images(self, batch: usize) -> usize {
        match self {
            Self::Rotation => (batch / rotation::CLASSES).max(1),
            Self::None | Self::Jigsaw => batch,
        }
    }

    /// Questions about images `[n, h, w, c]`.
    fn ask(self, values: Vec<f32>, dims: [usize; 3], rng: &mut ChaCha8Rng) -> Questions {
        match self {
            Self::Rotation => rotation::ask(values, dims),
            Self::None | Self::Jigsaw => jigsaw::ask(&values, dims, rng),
        }
    }

    /// Share of right answers about `images`, 0 to 1, by running statistics; the same questions at
    /// every call.
    pub fn accuracy(
        self,
        net: &impl Classifier,
        images: &Images,
        normalization: &Normalization,
    ) -> f64 {
        let net = net.valid();
        let device = net
            .devices()
            .first()
            .map_or_else(Device::flex, Clone::clone)
            .inner();
        let indices: Vec<usize> = (0..images.len()).collect();
        let (mut right, mut all) = (0.0, 0usize);
        for (i, chunk) in indices.chunks(64).enumerate() {
            let nowhere = AugmentStream { seed: 0, step: 0 };
            let values = values(images, chunk, &Augment::None, normalization, nowhere);
            let rng = &mut stream(0, "pretext questions", i as u64);
            let asked = self.ask(values, images.dims, rng);
            let x = Tensor::from_data(asked.x, &device);
            let answers = numbers(net.forward(x, &mut Pass::Evaluate));
            right += share_right(&answers, &asked.labels) * asked.labels.len() as f64;
            all += asked.labels.len();
        }
        right / all.max(1) as f64
    }
}

/// Learning the answers to a task.
pub(crate) struct Pretext {
    task: PretextTask,
    set: OneSet,
    smoothing: f32,
    seed: u64,
    device: Device,
}

impl Pretext {
    /// On `images`, from step `first` on. A step shows as many pixels as any other method's.
    pub(crate) fn new(
        task: PretextTask,
        images: Images,
        changes: (Augment, Normalization),
        fit: &FitConfig,
        start: (u64, u64),
        device: &Device,
    ) -> Self {
        let count = task.images(fit.batch);
        Self {
            task,
            set: OneSet::new(images, (count, task.word()), changes, start),
            smoothing: fit.label_smoothing,
            seed: start.0,
            device: device.clone(),
        }
    }
}

impl<N: Classifier> Objective<N> for Pretext {
    fn loss(&mut self, net: &N, step: u64, pass: &mut Pass<'_>) -> Tensor<1> {
        let mut loaded = self.set.next_batch();
        let values = std::mem::take(&mut loaded.values[0]);
        let rng = &mut stream(self.seed, "pretext questions", step);
        let asked = self.task.ask(values, loaded.dims, rng);
        let x = Tensor::from_data(asked.x, &self.device);
        let targets = one_hot(
            &asked.labels,
            self.task.classes(),
            self.smoothing,
            &self.device,
        );
        soft_cross_entropy(net.forward(x, pass), targets)
    }

    fn images(&self) -> Vec<String> {
        self.set.names()
    }

    fn waiting(&self) -> f64 {
        self.set.waiting()
    }
}
