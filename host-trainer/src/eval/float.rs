//! A net's answers without noise, gradients or random numbers.

use burn::tensor::Device;
use burn::tensor::activation::softmax;

use super::metrics::share_right;
use crate::data::augment::Augment;
use crate::data::batch::{AugmentStream, Normalization, batch};
use crate::data::{Images, Labeled};
use crate::net::Classifier;
use crate::nn::noise::Pass;

/// Images of one forward pass.
const BATCH: usize = 250;

/// Class probabilities of each image, row-major `[len, classes]`, by running statistics, on the
/// device of `net`.
pub(crate) fn probabilities(
    net: &impl Classifier,
    images: &Images,
    normalization: &Normalization,
) -> Vec<f32> {
    let unchanged = AugmentStream { seed: 0, step: 0 };
    let changes = (&Augment::None, unchanged);
    view(net, images, normalization, changes, 1.0, &mut |_| {})
}

/// Views of each image, of which the mean answer is taken (test-time augmentation).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Views {
    /// How many, the unchanged image among them.
    pub count: usize,
    /// Changes to the others.
    pub augment: Augment,
    /// Fixes the changes.
    pub seed: u64,
}

/// Mean over `views` of softmax(z / `temperature`) for each image, row-major `[len, classes]`.
/// `asked` hears of every batch how many images it had.
pub(crate) fn mean_probabilities(
    net: &impl Classifier,
    images: &Images,
    normalization: &Normalization,
    views: Views,
    temperature: f32,
    asked: &mut dyn FnMut(usize),
) -> Vec<f32> {
    let mut sum: Vec<f32> = Vec::new();
    for step in 0..views.count.max(1) as u64 {
        let seed = views.seed;
        let augment = match step {
            0 => Augment::None,
            _ => views.augment,
        };
        let changes = (&augment, AugmentStream { seed, step });
        let p = view(net, images, normalization, changes, temperature, asked);
        if sum.is_empty() {
            sum = p;
        } else {
            sum.iter_mut().zip(p).for_each(|(s, p)| *s += p);
        }
    }
    let share = 1.0 / views.count.max(1) as f32;
    sum.iter_mut().for_each(|p| *p *= share);
    sum
}

/// softmax(z / `temperature`) of one view of each image.
fn view(
    net: &impl Classifier,
    images: &Images,
    normalization: &Normalization,
    (augment, from): (&Augment, AugmentStream),
    temperature: f32,
    asked: &mut dyn FnMut(usize),
) -> Vec<f32> {
    let net = net.valid();
    let device = net
        .devices()
        .first()
        .map_or_else(Device::flex, Clone::clone);
    let device = device.inner();
    let mut all = Vec::new();
    let indices: Vec<usize> = (0..images.len()).collect();
    for (i, chunk) in (0u64..).zip(indices.chunks(BATCH)) {
        let from = AugmentStream {
            seed: from.seed ^ (i << 32),
            ..from
        };
        let x = batch(images, chunk, augment, normalization, from, &device);
        let p = softmax(net.forward(x, &mut Pass::Evaluate) / temperature, 1);
        all.extend(
            p.into_data()
                .try_to_vec::<f32>()
                .expect("probabilities are f32"),
        );
        asked(chunk.len());
    }
    all
}

/// Share of images whose most probable class is their label.
pub(crate) fn accuracy(net: &impl Classifier, set: &Labeled, normalization: &Normalization) -> f64 {
    share_right(&probabilities(net, &set.images, normalization), &set.labels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::testing::{Linear, data};

    #[test]
    fn the_mean_over_views_is_of_probabilities() {
        let (net, data, norm) = (Linear::new(16, 3, 1), data(), Normalization::around(90));
        let of = |count, augment| {
            let views = Views {
                count,
                augment,
                seed: 5,
            };
            mean_probabilities(&net, &data.unlabeled, &norm, views, 1.0, &mut |_| {})
        };
        let plain = probabilities(&net, &data.unlabeled, &norm);
        let flips = Augment::Weak {
            shift: 0,
            flip: true,
        };
        assert_eq!(of(1, flips), plain);
        for (a, b) in of(3, Augment::None).iter().zip(&plain) {
            assert!((a - b).abs() < 1e-6, "{a} {b}");
        }
        // Each view is the image or its mirror image: of four, 1 to 4 are the image.
        let mirrored = {
            let mut images = data.unlabeled.clone();
            let mut pixels: Vec<u8> = Vec::new();
            for i in 0..images.len() {
                for row in images.get(i).chunks(4) {
                    pixels.extend(row.iter().rev());
                }
            }
            images = Images::new([4, 4, 1], pixels);
            probabilities(&net, &images, &norm)
        };
        let four = of(4, flips);
        assert_eq!(four, of(4, flips));
        for (row, (plain, mirrored)) in four.chunks(3).zip(plain.chunks(3).zip(mirrored.chunks(3)))
        {
            let matches = (1..=4).any(|k| {
                let share = k as f32 / 4.0;
                row.iter()
                    .zip(plain.iter().zip(mirrored))
                    .all(|(m, (a, b))| (m - share * a - (1.0 - share) * b).abs() < 1e-5)
            });
            assert!(matches, "{row:?} {plain:?} {mirrored:?}");
        }
    }
}
