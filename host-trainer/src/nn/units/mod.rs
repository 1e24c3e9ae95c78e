//! Whole pieces of a net with hand-written backward passes, over plain slices of a batch.
//!
//! [`conv`] is convolution, batch norm and activation; [`mbconv`] is a whole MBConv block;
//! [`depthwise`] and [`norm`] are their parts for nets of another build. The statistics of batch norm
//! cut each into phases: a phase takes a few samples at a time through everything that they allow
//! before the next sum over the batch, while they are in the cache. Kept for the backward pass are
//! the maps before each normalization; what follows them is computed again, which is cheaper than
//! writing and reading it.
//!
//! In training, the batch is cut into [`CHUNKS`] parts, whatever the number of threads, and the parts'
//! sums are added in order, so that results do not depend on it. [`folded`] is evaluation, where a
//! sample needs no other.

pub(crate) mod conv;
pub(crate) mod depthwise;
pub(crate) mod folded;
pub(crate) mod mbconv;
pub(crate) mod norm;
#[cfg(test)]
mod numeric;
#[cfg(test)]
mod tests;

use crate::nn::kernels::normalize::{Forward, Sums};

/// A convolution's weights and its normalization's γ and β, or their gradients.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ConvNorm<T> {
    /// `[taps, out]`.
    pub weight: T,
    /// γ `[out]`.
    pub gamma: T,
    /// β `[out]`.
    pub beta: T,
}

/// Running mean and variance of one normalization.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Running {
    /// Mean `[c]`.
    pub mean: Vec<f32>,
    /// Biased variance `[c]`.
    pub variance: Vec<f32>,
}

impl Running {
    /// The normalization of a net that is not trained any more.
    fn norm(&self, w: &ConvNorm<&[f32]>) -> Forward {
        Forward::frozen(&self.mean, &self.variance, w.gamma, w.beta)
    }
}

/// Parts of a batch; fixed, so that the order of sums is.
pub(crate) const CHUNKS: usize = 8;

/// Pixels that go through a phase together where samples are smaller.
const GROUP_PIXELS: usize = 128;

/// Samples of one part of a batch of `n`.
pub(crate) fn part(n: usize) -> usize {
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

/// The parts' gradients added number by number, in order.
fn sum<'a>(mut parts: impl Iterator<Item = &'a Vec<f32>>) -> Vec<f32> {
    let mut all = parts.next().cloned().unwrap_or_default();
    for part in parts {
        crate::nn::kernels::pooling::add(&mut all, part);
    }
    all
}
