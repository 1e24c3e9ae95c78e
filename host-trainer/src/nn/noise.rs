//! The noise inside a net: dropout and stochastic depth, from one random stream.

use burn::tensor::{Device, Tensor, TensorData};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::util::random::stream;

/// Strength of the model noise of Noisy Student (arXiv 1911.04252, section 3) and its stream.
pub struct Noise {
    /// Probability that dropout zeroes a feature before the classifier.
    pub dropout: f32,
    /// Stochastic depth: the drop probability that the last block would have; block i of L is
    /// dropped with `drop_path * i / L`.
    pub drop_path: f32,
    /// Updates of the net so far: running statistics forget their first values quickly.
    pub step: u64,
    /// Source of the masks.
    pub rng: ChaCha8Rng,
}

/// How a net is run.
pub enum Pass<'a> {
    /// Running statistics, no noise, no random numbers.
    Evaluate,
    /// Batch statistics and the given noise.
    Train(&'a mut Noise),
}

impl Pass<'_> {
    /// The training step; none without training.
    pub fn step(&self) -> Option<u64> {
        match self {
            Self::Evaluate => None,
            Self::Train(noise) => Some(noise.step),
        }
    }

    /// Inverted dropout on `x [n, c]`.
    pub fn dropout(&mut self, x: Tensor<2>) -> Tensor<2> {
        let Self::Train(noise) = self else { return x };
        if noise.dropout <= 0.0 {
            return x;
        }
        let mask = noise.mask(x.dims(), noise.dropout, &x.device());
        x * mask
    }

    /// Stochastic depth of residual branch `index` of `blocks`: a factor for each of `n` samples,
    /// 0 or one over the keep probability (arXiv 1603.09382); empty where nothing is dropped.
    pub fn drop_path(&mut self, n: usize, index: usize, blocks: usize) -> Vec<f32> {
        let Self::Train(noise) = self else {
            return Vec::new();
        };
        let drop = noise.drop_path * index as f32 / blocks.max(1) as f32;
        if drop <= 0.0 {
            return Vec::new();
        }
        noise.factors(n, drop)
    }
}

impl Noise {
    /// No noise: a pass of training by the batch's statistics alone.
    pub fn none(step: u64) -> Self {
        Self {
            dropout: 0.0,
            drop_path: 0.0,
            step,
            rng: stream(0, "no noise", 0),
        }
    }

    fn mask<const D: usize>(&mut self, dims: [usize; D], drop: f32, device: &Device) -> Tensor<D> {
        let values = self.factors(dims.iter().product(), drop);
        Tensor::from_data(TensorData::new(values, dims), device)
    }

    /// `count` times 0 with probability `drop`, else 1 / (1 − drop).
    fn factors(&mut self, count: usize, drop: f32) -> Vec<f32> {
        let keep = 1.0 - drop;
        (0..count)
            .map(|_| {
                let uniform = (self.rng.next_u32() >> 8) as f32 / (1u32 << 24) as f32;
                if uniform < drop { 0.0 } else { 1.0 / keep }
            })
            .collect()
    }
}
