//! Whole pieces of a net with hand-written backward passes, over plain slices of a batch.
//!
//! [`conv`] is convolution, batch norm and activation; [`mbconv`] is a whole MBConv block. The
//! statistics of batch norm cut each into phases: a phase takes a few samples at a time through
//! everything that they allow before the next sum over the batch, while they are in the cache.
//! Kept for the backward pass are the maps before each normalization; what follows them is
//! computed again, which is cheaper than writing and reading it.
//!
//! The batch is cut into [`CHUNKS`] parts, whatever the number of threads, and the parts' sums are
//! added in order, so that results do not depend on it.

pub mod conv;
pub mod mbconv;
#[cfg(test)]
mod numeric;
#[cfg(test)]
mod tests;

use crate::nn::kernels::normalize::Sums;

/// Parts of a batch; fixed, so that the order of sums is.
pub const CHUNKS: usize = 8;

/// Pixels that go through a phase together where samples are smaller.
const GROUP_PIXELS: usize = 128;

/// Samples of one part of a batch of `n`.
fn part(n: usize) -> usize {
    n.div_ceil(CHUNKS).max(1)
}

/// Samples that go through a phase together, for maps of `pixels`.
fn group(pixels: usize) -> usize {
    (GROUP_PIXELS / pixels.max(1)).max(1)
}

/// Statistics of all parts.
fn total(parts: Vec<Sums>, c: usize) -> Sums {
    let mut all = Sums::new(c);
    for part in &parts {
        all.add(part);
    }
    all
}

/// Adds the parts' gradients number by number, in order.
fn sum(parts: &[Vec<f32>], into: &mut [f32]) {
    for part in parts {
        crate::nn::kernels::pooling::add(into, part);
    }
}
