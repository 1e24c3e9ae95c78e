//! Images of one set, step by step.

use crate::data::batch::Normalization;
use crate::data::loader::Loaded;
use crate::data::{Augment, BatchSampler, Feed, Images, Loader};

/// A loader of one feed, and the images of its last step.
pub(crate) struct OneSet {
    loader: Loader,
    images: Images,
    last: Vec<usize>,
}

impl OneSet {
    /// `count` of `images` a step, from step `first` on; `seed` and `name` fix their order, `seed`
    /// their changes.
    pub(crate) fn new(
        images: Images,
        (count, name): (usize, &'static str),
        (augment, normalization): (Augment, Normalization),
        (seed, first): (u64, u64),
    ) -> Self {
        let feed = Feed {
            sampler: BatchSampler::new(seed, name, images.len()),
            images: images.clone(),
            count,
            entries: None,
            views: vec![augment],
            seed,
        };
        Self {
            loader: Loader::new(vec![feed], normalization, first),
            images,
            last: Vec::new(),
        }
    }

    /// The next step's images.
    pub(crate) fn next_batch(&mut self) -> Loaded {
        let loaded = self.loader.next_batch().remove(0);
        self.last.clone_from(&loaded.indices);
        loaded
    }

    /// Names of the last step's images.
    pub(crate) fn names(&self) -> Vec<String> {
        self.last.iter().map(|i| self.images.name(*i)).collect()
    }

    /// Share of the time spent waiting for images.
    pub(crate) fn waiting(&self) -> f64 {
        self.loader.waiting()
    }
}
