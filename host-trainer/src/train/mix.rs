//! Mixed pairs of a batch: mixup (arXiv 1710.09412) and CutMix (arXiv 1905.04899).
//!
//! Each image is mixed with a partner from the same batch, and so are the targets. λ is the share
//! of the image's own; one λ a batch, from Beta(α, α).

use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Beta, Distribution};

/// How pairs are mixed: α of Beta(α, α) of either kind, 0 for none. With both, each batch draws
/// one of them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Mix {
    /// λ x + (1 − λ) x': 0.2 for ImageNet, 1 for CIFAR.
    pub mixup: f64,
    /// A rectangle of the partner's pixels: 1 in the paper.
    pub cutmix: f64,
}

/// A batch of images `[n, h, w, c]` and targets `[n, classes]`, row-major.
#[derive(Debug)]
pub struct Pairs<'a> {
    /// Pixels as the net reads them.
    pub images: &'a mut [f32],
    /// Height, width, channels.
    pub dims: [usize; 3],
    /// Rows that sum to 1.
    pub targets: &'a mut [f32],
    /// Classes.
    pub classes: usize,
}

impl Mix {
    /// Whether nothing is mixed.
    pub fn is_none(&self) -> bool {
        self.mixup <= 0.0 && self.cutmix <= 0.0
    }

    /// Mixes every image with a partner drawn without replacement; nothing is drawn where nothing
    /// is mixed.
    pub fn apply(&self, pairs: &mut Pairs<'_>, rng: &mut ChaCha8Rng) {
        if self.is_none() {
            return;
        }
        let both = self.mixup > 0.0 && self.cutmix > 0.0;
        let cut = self.cutmix > 0.0 && !(both && rng.random_bool(0.5));
        let alpha = if cut { self.cutmix } else { self.mixup };
        let Ok(beta) = Beta::new(alpha, alpha) else {
            return;
        };
        let lambda: f64 = beta.sample(rng);
        let count = pairs.targets.len().checked_div(pairs.classes).unwrap_or(0);
        let mut partners: Vec<usize> = (0..count).collect();
        partners.shuffle(rng);
        if cut {
            let [h, w, _] = pairs.dims;
            let center = (rng.random_range(0..h.max(1)), rng.random_range(0..w.max(1)));
            cut_mix(pairs, &partners, rectangle((h, w), center, lambda));
        } else {
            mixup(pairs, &partners, lambda as f32);
        }
    }
}

/// Rows and columns that come from the partner.
pub(crate) type Rectangle = (core::ops::Range<usize>, core::ops::Range<usize>);

/// The rectangle of sides h √(1 − λ) and w √(1 − λ) around `center`, cut at the image's border.
pub(crate) fn rectangle((h, w): (usize, usize), center: (usize, usize), lambda: f64) -> Rectangle {
    let share = (1.0 - lambda).clamp(0.0, 1.0).sqrt();
    let side = |len: usize, center: usize| {
        let half = (len as f64 * share) as usize / 2;
        center.saturating_sub(half)..(center + half).min(len)
    };
    (side(h, center.0), side(w, center.1))
}

/// λ of every image and target plus 1 − λ of its partner's.
pub(crate) fn mixup(pairs: &mut Pairs<'_>, partners: &[usize], lambda: f32) {
    blend(pairs.images, partners, lambda);
    blend(pairs.targets, partners, lambda);
}

/// Pixels of the rectangle from the partner; targets by the share of pixels that each has.
pub(crate) fn cut_mix(pairs: &mut Pairs<'_>, partners: &[usize], (rows, columns): Rectangle) {
    let [h, w, c] = pairs.dims;
    let old = pairs.images.to_vec();
    for (image, partner) in pairs.images.chunks_exact_mut(h * w * c).zip(partners) {
        for y in rows.clone() {
            let row = (y * w + columns.start) * c..(y * w + columns.end) * c;
            let from = partner * h * w * c;
            image[row.clone()].copy_from_slice(&old[from + row.start..from + row.end]);
        }
    }
    let area = rows.len() * columns.len();
    let lambda = 1.0 - area as f64 / (h * w).max(1) as f64;
    blend(pairs.targets, partners, lambda as f32);
}

/// Row i becomes λ row i + (1 − λ) row partners\[i\].
fn blend(rows: &mut [f32], partners: &[usize], lambda: f32) {
    let len = rows.len().checked_div(partners.len()).unwrap_or(0);
    if len == 0 {
        return;
    }
    let old = rows.to_vec();
    for (row, partner) in rows.chunks_exact_mut(len).zip(partners) {
        for (v, other) in row.iter_mut().zip(&old[partner * len..][..len]) {
            *v = lambda * *v + (1.0 - lambda) * other;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn batch() -> (Vec<f32>, Vec<f32>) {
        let images = (0..3 * 20)
            .map(|i| (i / 20 * 100 + i % 20) as f32)
            .collect();
        let targets = vec![1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0];
        (images, targets)
    }

    fn pairs<'a>(images: &'a mut [f32], targets: &'a mut [f32]) -> Pairs<'a> {
        Pairs {
            images,
            dims: [5, 4, 1],
            targets,
            classes: 3,
        }
    }

    #[test]
    fn mixup_is_the_convex_sum_of_images_and_targets() {
        let (mut x, mut t) = batch();
        mixup(&mut pairs(&mut x, &mut t), &[1, 2, 0], 0.75);
        assert_eq!(x[3], 0.75 * 3.0 + 0.25 * 103.0);
        assert_eq!(x[45], 0.75 * 205.0 + 0.25 * 5.0);
        assert_eq!(t, [0.75, 0.25, 0.0, 0.0, 0.75, 0.25, 0.25, 0.0, 0.75]);
    }

    #[test]
    fn cut_mix_replaces_a_rectangle_and_weighs_by_its_area() {
        let (mut x, mut t) = batch();
        cut_mix(&mut pairs(&mut x, &mut t), &[1, 0, 2], (1..3, 0..2));
        for (i, v) in x.iter().enumerate().take(20) {
            let inside = (1..3).contains(&(i / 4)) && i % 4 < 2;
            assert_eq!(*v, i as f32 + if inside { 100.0 } else { 0.0 });
        }
        // 4 of 20 pixels.
        let close = |a: f32, b: f32| (a - b).abs() < 1e-6;
        assert!(close(t[0], 0.8) && close(t[1], 0.2) && close(t[3], 0.2) && t[8] == 1.0);
    }

    #[test]
    fn rectangles_have_the_area_that_lambda_leaves() {
        assert_eq!(rectangle((8, 8), (4, 4), 0.75), (2..6, 2..6));
        assert_eq!(rectangle((8, 8), (4, 4), 1.0), (4..4, 4..4));
        assert_eq!(rectangle((8, 8), (0, 7), 0.75), (0..2, 5..8));
        assert_eq!(rectangle((8, 6), (4, 3), 0.0), (0..8, 0..6));
    }

    #[test]
    fn targets_stay_distributions_and_a_stream_fixes_the_result() {
        for (mixup, cutmix) in [(0.2, 0.0), (0.0, 1.0), (0.2, 1.0)] {
            let mix = Mix { mixup, cutmix };
            for seed in 0..40 {
                let run = || {
                    let (mut x, mut t) = batch();
                    let mut rng = ChaCha8Rng::seed_from_u64(seed);
                    mix.apply(&mut pairs(&mut x, &mut t), &mut rng);
                    (x, t)
                };
                let (x, t) = run();
                assert_eq!((x.clone(), t.clone()), run());
                for row in t.chunks(3) {
                    assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6, "{row:?}");
                }
                assert!(x.iter().all(|v| (0.0..=219.0).contains(v)));
            }
        }
    }

    #[test]
    fn nothing_to_mix_changes_and_draws_nothing() {
        for (mixup, cutmix) in [(0.0, 0.0), (-1.0, 0.0)] {
            let mix = Mix { mixup, cutmix };
            let ((mut x, mut t), mut rng) = (batch(), ChaCha8Rng::seed_from_u64(5));
            mix.apply(&mut pairs(&mut x, &mut t), &mut rng);
            assert_eq!((x, t), batch());
            assert_eq!(rng, ChaCha8Rng::seed_from_u64(5));
        }
    }
}
