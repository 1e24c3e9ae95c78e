//! Near copies: the same photo, recompressed or resized.
//!
//! Two steps, so that different images of plain things do not pass for copies: difference hashes
//! that differ in few bits, then cached pixels whose squared difference is small beside the
//! image's own variance: strokes that lie elsewhere differ by much, a recompressed photo does
//! not. The limits are set by CIFAR-10, which repeats training photos among its test images:
//! pairs up to a share of 0.12 are the same photo to the eye.

mod index;
mod remembered;

use rayon::prelude::*;

use self::index::HashIndex;
use self::remembered::Remembered;
use super::cache::Shelf;

/// Most bits of 128 that may differ.
const MOST_BITS: u32 = 16;
/// Most that the squared difference may be, of the variance.
const MOST_SHARE: f64 = 0.08;
/// Pixels of at most this many are compared: plain images have the hashes of many others.
const MOST_CANDIDATES: usize = 64;
/// Variance that every image has at least: rounding.
const LEAST_VARIANCE: f64 = 30.0;

/// For each of `images` the index of the nearest of `others` that it is a near copy of. Places
/// are the shelf's.
pub(crate) fn copies(
    images: &[(u32, u32)],
    others: &[(u32, u32)],
    shelf: &Shelf,
) -> Vec<Option<usize>> {
    let before = Remembered::of(images, others, shelf);
    if let Some(found) = before.found(shelf) {
        return found;
    }
    let hashes: Vec<u128> = others.iter().map(|p| shelf.entry(*p).hash).collect();
    let index = HashIndex::new(&hashes, MOST_BITS, MOST_CANDIDATES);
    let found: Vec<Option<usize>> = images
        .par_iter()
        .map(|place| {
            let candidates = index.nearest(shelf.entry(*place).hash);
            if candidates.is_empty() {
                return None;
            }
            let pixels = shelf.pixels(*place);
            candidates
                .into_iter()
                .find(|i| alike(&pixels, &shelf.pixels(others[*i])))
        })
        .collect();
    // Not where a damaged cache has shown other pixels.
    if shelf.failure().is_none() {
        before.keep(&found, shelf);
    }
    found
}

fn alike(a: &[u8], b: &[u8]) -> bool {
    let n = a.len().max(1) as f64;
    let square = |d: f64| d * d;
    let mean = a.iter().map(|p| f64::from(*p)).sum::<f64>() / n;
    let variance = a.iter().map(|p| square(f64::from(*p) - mean)).sum::<f64>() / n;
    let difference = a
        .iter()
        .zip(b)
        .map(|(a, b)| square(f64::from(a.abs_diff(*b))));
    difference.sum::<f64>() / n <= MOST_SHARE * variance.max(LEAST_VARIANCE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_of_compression_is_alike_and_a_moved_stroke_is_not() {
        let photo: Vec<u8> = (0..784).map(|i| (i * 7 % 199) as u8).collect();
        let noisy: Vec<u8> = photo
            .iter()
            .enumerate()
            .map(|(i, p)| p + (i % 7) as u8)
            .collect();
        assert!(alike(&photo, &noisy));
        let stroke = |at: usize| -> Vec<u8> {
            (0..784)
                .map(|i| if i % 28 / 2 == at && i > 112 { 250 } else { 0 })
                .collect()
        };
        assert!(!alike(&stroke(6), &stroke(7)));
        // Half of a stroke's height.
        let mut short = stroke(6);
        short[..392].fill(0);
        assert!(!alike(&stroke(6), &short));
        assert!(alike(&[50; 9], &[50; 9]) && !alike(&[50; 9], &[90; 9]));
    }
}
