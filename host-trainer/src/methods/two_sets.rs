//! What semi-supervised methods see of a step: labeled images, and views of unlabeled ones.

use burn::tensor::{Device, Tensor};

use super::labeled::Labels;
use crate::data::batch::Normalization;
use crate::data::{Augment, BatchSampler, Dataset, Feed, Images, Loader};
use crate::nn::values::numbers;
use crate::train::FitConfig;

/// What every such method is given.
#[derive(Clone, Debug)]
pub struct Setup<'a> {
    /// The images.
    pub data: &'a Dataset,
    /// Pixels to real values.
    pub normalization: Normalization,
    /// The training.
    pub fit: &'a FitConfig,
    /// Unlabeled images of a batch for each labeled one.
    pub unlabeled_ratio: usize,
    /// Changes to labeled images, and to the unlabeled ones that the net learns on.
    pub strong: Augment,
    /// Changes to the unlabeled images that targets are taken from.
    pub weak: Augment,
    /// Fixes the order of the images and their changes.
    pub seed: u64,
    /// First step to do.
    pub first: u64,
    /// Where tensors live.
    pub device: Device,
}

/// One step's images.
#[derive(Debug)]
pub(crate) struct Step {
    /// Labeled images `[n, h, w, c]`.
    pub labeled: Tensor<4>,
    /// Their target distributions `[n, classes]`.
    pub targets: Tensor<2>,
    /// Their classes.
    pub classes: Vec<u8>,
    /// Which of the unlabeled images.
    pub unlabeled: Vec<usize>,
    /// Each view of them `[m, h, w, c]`.
    pub views: Vec<Tensor<4>>,
}

/// Labeled and unlabeled images, step by step.
pub(crate) struct TwoSets<'a> {
    loader: Loader,
    labels: Labels<'a>,
    data: &'a Dataset,
    pool: Images,
    last: [Vec<usize>; 2],
}

impl<'a> TwoSets<'a> {
    /// With `views` of each unlabeled image. Their pool holds the labeled images too, as
    /// FixMatch's does (arXiv 2001.07685).
    pub(crate) fn new(setup: &Setup<'a>, views: Vec<Augment>) -> Self {
        let pool = setup.data.labeled.images.and(&setup.data.unlabeled);
        Self::of_pool(setup, views, pool, None)
    }

    /// With `views` of the images of `pool`, or of those that `entries` lists.
    pub(crate) fn of_pool(
        setup: &Setup<'a>,
        views: Vec<Augment>,
        pool: Images,
        entries: Option<Vec<usize>>,
    ) -> Self {
        let (data, fit, seed) = (setup.data, setup.fit, setup.seed);
        let labeled_count = (fit.batch / (1 + setup.unlabeled_ratio)).max(1);
        let feeds = vec![
            Feed {
                images: data.labeled.images.clone(),
                sampler: BatchSampler::new(seed, "labeled", data.labeled.labels.len()),
                count: labeled_count,
                entries: None,
                views: vec![setup.strong],
                seed,
            },
            Feed {
                images: pool.clone(),
                sampler: BatchSampler::new(
                    seed,
                    "unlabeled",
                    entries.as_ref().map_or(pool.len(), Vec::len),
                ),
                count: fit.batch.saturating_sub(labeled_count),
                entries,
                views,
                seed: seed.wrapping_add(1),
            },
        ];
        let labels = Labels {
            labels: &data.labeled.labels,
            classes: data.classes.len(),
            fit,
            seed,
            device: setup.device.clone(),
        };
        Self {
            loader: Loader::new(feeds, setup.normalization, setup.first),
            labels,
            data,
            pool,
            last: Default::default(),
        }
    }

    /// The next step's images.
    pub(crate) fn next(&mut self, step: u64) -> Step {
        let mut loaded = self.loader.next_batch();
        let device = self.labels.device.clone();
        let classes = |i: &usize| self.labels.labels[*i];
        let classes = loaded[0].indices.iter().map(classes).collect();
        let (labeled, targets) = self.labels.batch(&mut loaded[0], 0, step);
        let views = (0..loaded[1].values.len())
            .map(|view| loaded[1].view(view, &device))
            .collect();
        self.last = [0, 1].map(|i| loaded[i].indices.clone());
        Step {
            labeled,
            targets,
            classes,
            unlabeled: self.last[1].clone(),
            views,
        }
    }

    /// Number of classes.
    pub(crate) fn classes(&self) -> usize {
        self.labels.classes
    }

    /// Where tensors live.
    pub(crate) fn device(&self) -> &Device {
        &self.labels.device
    }

    /// Names of the last step's images.
    pub(crate) fn images(&self) -> Vec<String> {
        let [labeled, unlabeled] = &self.last;
        let labeled = labeled.iter().map(|i| self.data.labeled.images.name(*i));
        labeled
            .chain(unlabeled.iter().map(|i| self.pool.name(*i)))
            .collect()
    }

    /// Share of the time spent waiting for images.
    pub(crate) fn waiting(&self) -> f64 {
        self.loader.waiting()
    }
}

/// Rows `from..to` of logits.
pub(crate) fn slice(logits: &Tensor<2>, from: usize, to: usize) -> Tensor<2> {
    let classes = logits.dims()[1];
    logits.clone().slice([from..to, 0..classes])
}

/// Class probabilities of `logits` at `temperature`, row-major, out of the graph.
pub(crate) fn softened(logits: &Tensor<2>, temperature: f32) -> Vec<f32> {
    let p = burn::tensor::activation::softmax(logits.clone().detach() / temperature, 1);
    numbers(p)
}

/// Mean over the rows of −Σ p ln p.
pub(crate) fn entropy(probabilities: &[f32], classes: usize) -> f64 {
    let rows = (probabilities.len() / classes.max(1)).max(1);
    let sum: f64 = probabilities
        .iter()
        .map(|p| f64::from(*p))
        .filter(|p| *p > 0.0)
        .map(|p| p * p.ln())
        .sum();
    -sum / rows as f64
}

/// A running mean between two epochs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mean {
    sum: f64,
    count: u32,
}

impl Mean {
    /// One more value.
    pub(crate) fn add(&mut self, value: f64) {
        (self.sum, self.count) = (self.sum + value, self.count + 1);
    }

    /// The mean since the last call.
    pub(crate) fn take(&mut self) -> f64 {
        let Self { sum, count } = std::mem::take(self);
        sum / f64::from(count.max(1))
    }
}
