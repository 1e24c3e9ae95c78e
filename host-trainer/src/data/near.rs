//! Near copies: the same photo, recompressed or resized.
//!
//! Two steps, so that different images of plain things do not pass for copies: difference hashes
//! that differ in few bits, then cached pixels that differ by little.

use rayon::prelude::*;

use super::cache::Shelf;

/// Most bits of 128 that may differ.
const MOST_BITS: u32 = 10;
/// Most that pixels may differ on average, of 255.
const MOST_DIFFERENCE: f64 = 5.0;

/// For each of `images` the index of the nearest of `others` that it is a near copy of. Places
/// are the shelf's. Time: the product of both counts, some nanoseconds each.
pub fn copies(images: &[(u32, u32)], others: &[(u32, u32)], shelf: &Shelf) -> Vec<Option<usize>> {
    let hashes: Vec<u128> = others.iter().map(|p| shelf.entry(*p).hash).collect();
    images
        .par_iter()
        .map(|place| {
            let hash = shelf.entry(*place).hash;
            let mut candidates: Vec<(u32, usize)> = hashes
                .iter()
                .enumerate()
                .map(|(i, h)| ((h ^ hash).count_ones(), i))
                .filter(|(bits, _)| *bits <= MOST_BITS)
                .collect();
            candidates.sort_unstable();
            if candidates.is_empty() {
                return None;
            }
            let pixels = shelf.pixels(*place);
            candidates
                .into_iter()
                .map(|(_, i)| i)
                .find(|i| difference(&pixels, &shelf.pixels(others[*i])) <= MOST_DIFFERENCE)
        })
        .collect()
}

fn difference(a: &[u8], b: &[u8]) -> f64 {
    let sum: u64 = a
        .iter()
        .zip(b)
        .map(|(a, b)| u64::from(a.abs_diff(*b)))
        .sum();
    sum as f64 / a.len().max(1) as f64
}
