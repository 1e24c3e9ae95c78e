//! Batches made ahead of time by a thread of its own, so that training does not wait for disks,
//! decoders and augmentation.
//!
//! What a batch holds depends on the seed and the step alone: on no thread count and no timing.

use std::sync::mpsc::{Receiver, SendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use burn::tensor::{Device, Tensor, TensorData};

use super::augment::Augment;
use super::batch::{AugmentStream, BatchSampler, Normalization, values};
use super::images::Images;

/// Batches that wait to be used.
const AHEAD: usize = 3;

/// One stream of images of every batch.
pub(crate) struct Feed {
    /// Where pixels come from.
    pub images: Images,
    /// Which entries come next.
    pub sampler: BatchSampler,
    /// Entries of a batch.
    pub count: usize,
    /// Image of each entry, where entries are not images (an image may be listed twice).
    pub entries: Option<Vec<usize>>,
    /// How each view of an image is changed; most feeds have one view.
    pub views: Vec<Augment>,
    /// Seed of the augmentation's streams.
    pub seed: u64,
}

/// One feed's share of a batch.
pub(crate) struct Loaded {
    /// Image of each row.
    pub indices: Vec<usize>,
    /// Pixels as the net reads them, `[n, h, w, c]` of each view.
    pub values: Vec<Vec<f32>>,
    /// Height, width, channels.
    pub dims: [usize; 3],
}

impl Loaded {
    /// View `view` as a tensor `[n, h, w, c]`, which takes its values.
    pub(crate) fn view(&mut self, view: usize, device: &Device) -> Tensor<4> {
        let [h, w, c] = self.dims;
        let shape = [self.indices.len(), h, w, c];
        let values = std::mem::take(&mut self.values[view]);
        Tensor::from_data(TensorData::new(values, shape), device)
    }
}

/// Makes the batches of steps one after the other.
struct Maker {
    feeds: Vec<Feed>,
    normalization: Normalization,
    step: u64,
}

impl Maker {
    fn next(&mut self) -> Vec<Loaded> {
        let (step, normalization) = (self.step, &self.normalization);
        self.step += 1;
        let batch = self.feeds.iter_mut().map(|feed| {
            let mut indices = feed.sampler.next(feed.count);
            if let Some(entries) = &feed.entries {
                indices = indices.iter().map(|e| entries[*e]).collect();
            }
            // Views draw from streams of their own.
            let views = feed.views.iter().zip(0u64..).map(|(augment, view)| {
                let seed = feed.seed ^ (view << 32);
                let from = AugmentStream { seed, step };
                values(&feed.images, &indices, augment, normalization, from)
            });
            Loaded {
                values: views.collect(),
                dims: feed.images.dims,
                indices,
            }
        });
        batch.collect()
    }
}

/// The thread and what it has made.
pub(crate) struct Loader {
    source: Source,
    begun: Option<Instant>,
    waited: Duration,
}

enum Source {
    Thread {
        ready: Option<Receiver<Vec<Loaded>>>,
        thread: Option<JoinHandle<()>>,
    },
    /// Where the system gives no thread: each batch is made when it is asked for.
    Here(Box<Maker>),
}

impl Loader {
    /// Starts making the batches of steps `first`, `first + 1`, …; earlier steps are passed over
    /// in the samplers' order, so that a resumed training sees what an uninterrupted one sees.
    pub(crate) fn new(mut feeds: Vec<Feed>, normalization: Normalization, first: u64) -> Self {
        for feed in &mut feeds {
            for _ in 0..first {
                feed.sampler.next(feed.count);
            }
        }
        let maker = Maker {
            feeds,
            normalization,
            step: first,
        };
        Self {
            source: Source::start(maker),
            begun: None,
            waited: Duration::ZERO,
        }
    }

    /// The next batch, one entry a feed.
    ///
    /// # Panics
    /// Only with the thread's own panic, which is a bug.
    pub(crate) fn next_batch(&mut self) -> Vec<Loaded> {
        let start = Instant::now();
        let batch = match &mut self.source {
            Source::Here(maker) => maker.next(),
            Source::Thread { ready, thread } => match ready.as_ref().and_then(|r| r.recv().ok()) {
                Some(batch) => batch,
                None => {
                    let reason = thread.take().and_then(|t| t.join().err());
                    std::panic::resume_unwind(
                        reason.unwrap_or_else(|| Box::new("the loader is gone")),
                    );
                }
            },
        };
        // The first batch can't be there yet.
        match self.begun {
            None => self.begun = Some(Instant::now()),
            Some(_) => self.waited += start.elapsed(),
        }
        batch
    }

    /// Share of the time since the first batch that was spent waiting, 0 to 1.
    pub(crate) fn waiting(&self) -> f64 {
        let all = self.begun.map_or(0.0, |b| b.elapsed().as_secs_f64());
        if all > 0.0 {
            self.waited.as_secs_f64() / all
        } else {
            0.0
        }
    }
}

impl Source {
    fn start(maker: Maker) -> Self {
        let (send, ready) = sync_channel(AHEAD);
        // The thread takes the maker when it runs: one that cannot be started takes nothing.
        let (hand, taken) = sync_channel::<Maker>(1);
        let make = move || {
            let Ok(mut maker) = taken.recv() else { return };
            // Until the training has ended: nobody listens any more.
            while send.send(maker.next()).is_ok() {}
        };
        match std::thread::Builder::new()
            .name("loader".into())
            .spawn(make)
        {
            Ok(thread) => match hand.send(maker) {
                Ok(()) => Self::Thread {
                    ready: Some(ready),
                    thread: Some(thread),
                },
                Err(SendError(maker)) => Self::Here(Box::new(maker)),
            },
            Err(_) => Self::Here(Box::new(maker)),
        }
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        if let Source::Thread { ready, thread } = &mut self.source {
            *ready = None;
            if let Some(thread) = thread.take() {
                let _ = thread.join();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feeds(augment: Augment) -> Vec<Feed> {
        let images = Images::new([4, 4, 1], (0..160).collect());
        let feed = |count, seed, entries: Option<Vec<usize>>| Feed {
            sampler: BatchSampler::new(seed, "test", entries.as_ref().map_or(10, Vec::len)),
            images: images.clone(),
            count,
            entries,
            views: vec![augment],
            seed,
        };
        vec![feed(4, 1, None), feed(3, 2, Some(vec![7, 7, 9]))]
    }

    fn load(first: u64, steps: usize) -> Vec<Vec<f32>> {
        let augment = Augment::Weak {
            shift: 1,
            flip: true,
        };
        let mut loader = Loader::new(feeds(augment), Normalization::around(80), first);
        (0..steps)
            .map(|_| {
                loader
                    .next_batch()
                    .into_iter()
                    .flat_map(|l| l.values.concat())
                    .collect()
            })
            .collect()
    }

    #[test]
    fn batches_are_those_of_the_step_wherever_loading_begins() {
        let all = load(0, 12);
        assert_eq!(load(0, 12), all);
        assert_eq!(load(7, 5), all[7..]);
        assert!(all.windows(2).all(|w| w[0] != w[1]));
    }

    #[test]
    fn a_batch_made_ahead_is_the_one_made_at_once() {
        let (augment, n) = (Augment::None, Normalization::around(80));
        let mut loader = Loader::new(feeds(augment), n, 0);
        let mut feed = feeds(augment).remove(0);
        for step in 0..5 {
            let indices = feed.sampler.next(4);
            let from = AugmentStream { seed: 1, step };
            let device = Device::flex();
            let expected =
                super::super::batch::batch(&feed.images, &indices, &augment, &n, from, &device);
            let mut loaded = loader.next_batch().remove(0);
            assert_eq!(loaded.indices, indices);
            let found = loaded.view(0, &device).into_data().try_to_vec::<f32>();
            assert_eq!(
                found.unwrap(),
                expected.into_data().try_to_vec::<f32>().unwrap()
            );
        }
        let entries = loader.next_batch().remove(1).indices;
        assert!(entries.iter().all(|i| [7, 9].contains(i)), "{entries:?}");
        assert!((0.0..=1.0).contains(&loader.waiting()));
    }

    #[test]
    fn without_a_thread_batches_are_the_same() {
        let augment = Augment::Weak {
            shift: 1,
            flip: true,
        };
        let mut maker = Maker {
            feeds: feeds(augment),
            normalization: Normalization::around(80),
            step: 0,
        };
        for expected in load(0, 5) {
            let values = maker.next().into_iter().flat_map(|l| l.values.concat());
            assert_eq!(values.collect::<Vec<f32>>(), expected);
        }
    }

    #[test]
    fn views_are_of_the_same_images_and_draw_apart() {
        let weak = Augment::Weak {
            shift: 1,
            flip: true,
        };
        let mut feed = feeds(weak).remove(0);
        feed.views = vec![weak, weak, Augment::None];
        let normalization = Normalization::around(80);
        let mut loader = Loader::new(vec![feed], normalization, 0);
        let alone = load(0, 4);
        for (step, alone) in alone.iter().enumerate() {
            let loaded = loader.next_batch().remove(0);
            // A first view is what it is alone; 64 values of four images.
            assert_eq!(loaded.values[0], alone[..64], "step {step}");
            assert_ne!(loaded.values[0], loaded.values[1], "step {step}");
            let plain: Vec<f32> = loaded
                .indices
                .iter()
                .flat_map(|i| (i * 16..i * 16 + 16).map(|p| normalization.apply(p as u8)))
                .collect();
            assert_eq!(loaded.values[2], plain);
        }
    }
}
