//! Initial weights from one random stream, so that a seed fixes the net.

use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal, Uniform};

/// Where new parameters live and the stream that their values come from.
pub struct Init<'a> {
    /// Device of the parameters.
    pub device: &'a Device,
    /// The random stream; two nets built from equal streams are equal.
    pub rng: &'a mut ChaCha8Rng,
}

impl Init<'_> {
    /// N(0, √(2 / fan_out)): convolutions of EfficientNet (arXiv 1905.11946, reference code).
    /// `fan_out` is kernel² times output channels; for depthwise kernels kernel² alone.
    pub fn normal<const D: usize>(&mut self, dims: [usize; D], fan_out: usize) -> Param<Tensor<D>> {
        let std = (2.0 / fan_out.max(1) as f32).sqrt();
        let normal = Normal::new(0.0, std).expect("a finite deviation");
        self.draw(dims, &normal)
    }

    /// U(−1/√fan, 1/√fan): dense layers.
    pub fn uniform<const D: usize>(&mut self, dims: [usize; D], fan: usize) -> Param<Tensor<D>> {
        let bound = (1.0 / fan.max(1) as f32).sqrt();
        let uniform = Uniform::new(-bound, bound).expect("an ordered range");
        self.draw(dims, &uniform)
    }

    /// All elements `value`.
    pub fn constant<const D: usize>(&mut self, dims: [usize; D], value: f32) -> Param<Tensor<D>> {
        Param::from_tensor(Tensor::full(dims, value, self.device))
    }

    fn draw<const D: usize>(
        &mut self,
        dims: [usize; D],
        distribution: &impl Distribution<f32>,
    ) -> Param<Tensor<D>> {
        let count = dims.iter().product();
        let values: Vec<f32> = (0..count).map(|_| distribution.sample(self.rng)).collect();
        Param::from_tensor(Tensor::from_data(
            TensorData::new(values, dims),
            self.device,
        ))
    }
}
