//! Batches: which images come next, augmented, as tensors. Every random choice has a stream.

use burn::tensor::{Device, Tensor, TensorData};
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::augment::{Augment, Picture};
use super::images::Images;
use crate::util::random::stream;

/// How pixels become real values: `scale * (pixel - 128 - zero_point)`, which is what the int8
/// net reads too.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normalization {
    /// Real value of one pixel step.
    pub scale: f32,
    /// Int8 value of real zero: the mean pixel minus 128.
    pub zero_point: i8,
}

impl Normalization {
    /// 1/64 a step around the mean pixel: about unit variance, and zero padding is the mean.
    pub fn around(mean_pixel: u8) -> Self {
        Self {
            scale: 1.0 / 64.0,
            zero_point: (i16::from(mean_pixel) - 128) as i8,
        }
    }

    /// Real value of `pixel`.
    pub fn apply(&self, pixel: u8) -> f32 {
        self.scale * f32::from(i16::from(pixel) - 128 - i16::from(self.zero_point))
    }

    /// The pixel of real value zero.
    pub fn mean_pixel(&self) -> u8 {
        (i16::from(self.zero_point) + 128) as u8
    }
}

/// Endless order over a set: each pass a new permutation from its own stream.
#[derive(Clone, Debug)]
pub(crate) struct BatchSampler {
    seed: u64,
    name: &'static str,
    order: Vec<usize>,
    next: usize,
    epoch: u64,
}

impl BatchSampler {
    /// Over the images 0..len; `name` keeps samplers of one seed apart.
    pub(crate) fn new(seed: u64, name: &'static str, len: usize) -> Self {
        Self {
            seed,
            name,
            order: (0..len).collect(),
            next: len,
            epoch: 0,
        }
    }

    /// The next `count` images; a batch may span two passes.
    pub(crate) fn next(&mut self, count: usize) -> Vec<usize> {
        let mut batch = Vec::with_capacity(count);
        while batch.len() < count && !self.order.is_empty() {
            if self.next == self.order.len() {
                self.order.sort_unstable();
                self.order
                    .shuffle(&mut stream(self.seed, self.name, self.epoch));
                (self.next, self.epoch) = (0, self.epoch + 1);
            }
            let take = (count - batch.len()).min(self.order.len() - self.next);
            batch.extend_from_slice(&self.order[self.next..self.next + take]);
            self.next += take;
        }
        batch
    }
}

/// Where a batch's augmentation draws from: one stream for each (step, image of the batch).
#[derive(Clone, Copy, Debug)]
pub(crate) struct AugmentStream {
    /// The stage's seed.
    pub seed: u64,
    /// Step of training.
    pub step: u64,
}

/// Augments `images[indices]` on all cores and makes a tensor `[n, h, w, c]`.
pub(crate) fn batch(
    images: &Images,
    indices: &[usize],
    augment: &Augment,
    normalization: &Normalization,
    from: AugmentStream,
    device: &Device,
) -> Tensor<4> {
    let [h, w, c] = images.dims;
    let maker = Maker::new(images, augment, normalization, from);
    let mut values = vec![0.0f32; indices.len() * images.stride()];
    values
        .par_chunks_mut(images.stride())
        .zip(indices)
        .enumerate()
        .for_each(|(k, (out, i))| maker.make(k, *i, out));
    Tensor::from_data(TensorData::new(values, [indices.len(), h, w, c]), device)
}

/// The same values, `[n, h, w, c]` row-major, made by the calling thread alone.
pub(crate) fn values(
    images: &Images,
    indices: &[usize],
    augment: &Augment,
    normalization: &Normalization,
    from: AugmentStream,
) -> Vec<f32> {
    let maker = Maker::new(images, augment, normalization, from);
    let mut values = vec![0.0f32; indices.len() * images.stride()];
    let rows = values.chunks_exact_mut(images.stride()).zip(indices);
    for (k, (out, i)) in rows.enumerate() {
        maker.make(k, *i, out);
    }
    values
}

/// Makes one row of a batch.
struct Maker<'a> {
    images: &'a Images,
    augment: &'a Augment,
    from: AugmentStream,
    table: [f32; 256],
    fill: u8,
}

impl<'a> Maker<'a> {
    fn new(
        images: &'a Images,
        augment: &'a Augment,
        normalization: &Normalization,
        from: AugmentStream,
    ) -> Self {
        Self {
            images,
            augment,
            from,
            table: core::array::from_fn(|p| normalization.apply(p as u8)),
            fill: normalization.mean_pixel(),
        }
    }

    /// Image `i` as row `k`.
    fn make(&self, k: usize, i: usize, out: &mut [f32]) {
        let from = self.from;
        let mut rng: ChaCha8Rng = stream(from.seed, "augment", from.step << 16 | k as u64);
        let [h, w, c] = self.images.dims;
        let mut picture = Picture {
            h,
            w,
            c,
            pixels: self.images.get(i).into_owned(),
        };
        self.augment.apply(&mut picture, self.fill, &mut rng);
        for (o, p) in out.iter_mut().zip(&picture.pixels) {
            *o = self.table[usize::from(*p)];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pass_visits_every_image_once() {
        let mut sampler = BatchSampler::new(1, "test", 10);
        let mut two: Vec<usize> = (0..5).flat_map(|_| sampler.next(4)).collect();
        let mut second = two.split_off(10);
        assert_ne!(two, second);
        two.sort_unstable();
        second.sort_unstable();
        assert_eq!(two, second);
        assert_eq!(two, (0..10).collect::<Vec<_>>());
        assert!(BatchSampler::new(1, "test", 0).next(3).is_empty());
    }

    #[test]
    fn the_mean_pixel_is_zero_and_a_step_is_a_64th() {
        let n = Normalization::around(73);
        assert_eq!([n.apply(73), n.apply(137), n.apply(9)], [0.0, 1.0, -1.0]);
        for mean in [0, 128, 255] {
            assert_eq!(Normalization::around(mean).apply(mean), 0.0);
        }
    }

    #[test]
    fn a_batch_does_not_depend_on_its_threads() {
        let images = Images::new([8, 8, 1], (0..640).map(|i| i as u8).collect());
        let augment = Augment::Weak {
            shift: 2,
            flip: true,
        };
        let make = |threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| {
                let n = Normalization::around(100);
                let from = AugmentStream { seed: 5, step: 3 };
                let x = batch(&images, &[3, 1, 4, 1], &augment, &n, from, &Device::flex());
                x.into_data().try_to_vec::<f32>().unwrap()
            })
        };
        let one = make(1);
        assert_eq!(one, make(3));
        assert_ne!(
            one[64..128],
            one[192..256],
            "equal images get their own augmentation"
        );
    }
}
