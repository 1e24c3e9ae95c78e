//! Squeeze-and-excitation (SENet, arXiv 1709.01507, section 3), as a part for any NHWC net.
//!
//! z = mean over h, w (squeeze); s = gate(W2 act(W1 z + b1) + b2) (excitation); x̃ = x s (scale).
//! The mean runs over whatever height and width the map has at run time.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::activate::activate;
use super::activation::Activation;
use super::init::Init;
use super::ops::{gate, global_pool};

/// Shape of a squeeze-and-excitation part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SqueezeExciteConfig {
    /// Channels of the map.
    pub ch: usize,
    /// Width of the bottleneck: C / r in SENet.
    pub squeezed_ch: usize,
    /// Between the two dense layers: the block's own in EfficientNet, ReLU in SENet.
    pub act: Activation,
    /// Behind them: sigmoid, or the hard sigmoid of MobileNetV3.
    pub gate: Activation,
    /// Whether the dense layers have biases: yes in EfficientNet, no in SE-ResNet.
    pub bias: bool,
}

/// The two dense layers of the excitation.
#[derive(Module, Debug)]
pub struct SqueezeExcite {
    /// `[ch, squeezed_ch]`.
    pub reduce: Param<Tensor<2>>,
    /// `[squeezed_ch]`.
    pub reduce_bias: Option<Param<Tensor<1>>>,
    /// `[squeezed_ch, ch]`.
    pub expand: Param<Tensor<2>>,
    /// `[ch]`.
    pub expand_bias: Option<Param<Tensor<1>>>,
    #[module(skip)]
    act: Activation,
    #[module(skip)]
    gate: Activation,
}

impl SqueezeExciteConfig {
    /// Trained parameters: 2 ch squeezed, which is 2C²/r, and ch + squeezed with biases.
    pub(crate) fn parameters(&self) -> usize {
        let bias = if self.bias {
            self.ch + self.squeezed_ch
        } else {
            0
        };
        2 * self.ch * self.squeezed_ch + bias
    }

    /// A part with weights from `init`; biases are 0.
    pub(crate) fn init(&self, init: &mut Init<'_>) -> SqueezeExcite {
        let (ch, squeezed) = (self.ch, self.squeezed_ch);
        SqueezeExcite {
            reduce: init.normal([ch, squeezed], squeezed),
            reduce_bias: self.bias.then(|| init.constant([squeezed], 0.0)),
            expand: init.normal([squeezed, ch], ch),
            expand_bias: self.bias.then(|| init.constant([ch], 0.0)),
            act: self.act,
            gate: self.gate,
        }
    }
}

impl SqueezeExcite {
    /// `x [n, h, w, ch]`, each channel scaled by its gate in (0, 1).
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let s = self.excite(global_pool(x.clone()));
        gate(x, s)
    }

    /// The gates `[n, ch]` of the means `z [n, ch]`.
    pub fn excite(&self, z: Tensor<2>) -> Tensor<2> {
        let hidden = dense(z, &self.reduce, self.reduce_bias.as_ref());
        let hidden = activate(hidden, self.act);
        let s = dense(hidden, &self.expand, self.expand_bias.as_ref());
        activate(s, self.gate)
    }

    /// Bias of the first dense layer `[squeezed_ch]`; zeros where it has none.
    pub fn reduce_bias(&self) -> Tensor<1> {
        bias(&self.reduce, self.reduce_bias.as_ref())
    }

    /// Bias of the second dense layer `[ch]`; zeros where it has none.
    pub fn expand_bias(&self) -> Tensor<1> {
        bias(&self.expand, self.expand_bias.as_ref())
    }

    /// Between the dense layers.
    pub fn act(&self) -> Activation {
        self.act
    }

    /// Behind them.
    pub fn gate(&self) -> Activation {
        self.gate
    }
}

fn bias(weight: &Param<Tensor<2>>, bias: Option<&Param<Tensor<1>>>) -> Tensor<1> {
    match bias {
        Some(bias) => bias.val(),
        None => {
            let weight = weight.val();
            Tensor::zeros([weight.dims()[1]], &weight.device())
        }
    }
}

fn dense(x: Tensor<2>, weight: &Param<Tensor<2>>, bias: Option<&Param<Tensor<1>>>) -> Tensor<2> {
    let y = x.matmul(weight.val());
    match bias {
        Some(bias) => y + bias.val().unsqueeze(),
        None => y,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::values::{Named, assign, collect};
    use crate::util::random::stream;
    use burn::tensor::{Device, TensorData};
    use rand::Rng;

    fn config(gate: Activation, bias: bool) -> SqueezeExciteConfig {
        SqueezeExciteConfig {
            ch: 8,
            squeezed_ch: 2,
            act: Activation::Relu,
            gate,
            bias,
        }
    }

    fn part(config: SqueezeExciteConfig) -> SqueezeExcite {
        config.init(&mut Init {
            device: &Device::flex(),
            rng: &mut stream(4, "test", 0),
        })
    }

    fn map(pixels: &[f32], n: usize) -> Tensor<4> {
        let w = pixels.len() / n / 3 / 8;
        Tensor::from_data(
            TensorData::new(pixels.to_vec(), [n, 3, w, 8]),
            &Device::flex(),
        )
    }

    fn random(count: usize) -> Vec<f32> {
        let mut rng = stream(4, "values", 0);
        (0..count)
            .map(|_| (rng.next_u32() >> 8) as f32 / (1u32 << 23) as f32 - 1.0)
            .collect()
    }

    fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
        x.into_data().try_to_vec().unwrap()
    }

    /// The part with every number of the named entry replaced.
    fn with(part: SqueezeExcite, name: &str, value: f32) -> SqueezeExcite {
        let mut list: Vec<Named> = collect(&part);
        let entry = list.iter_mut().find(|n| n.name == name).unwrap();
        entry.values.fill(value);
        assign(part, &list).unwrap()
    }

    #[test]
    fn the_formula_counts_what_the_part_has() {
        for (bias, expected) in [(false, 2 * 8 * 2), (true, 2 * 8 * 2 + 8 + 2)] {
            let config = config(Activation::Sigmoid, bias);
            assert_eq!(config.parameters(), expected);
            assert_eq!(part(config).num_params(), expected);
        }
    }

    #[test]
    fn gates_are_one_number_in_0_to_1_for_each_image_and_channel() {
        for act in [Activation::Sigmoid, Activation::HardSigmoid] {
            let se = part(config(act, true));
            let x = random(2 * 3 * 5 * 8);
            let y = values(se.forward(map(&x, 2)));
            for image in 0..2 {
                for c in 0..8 {
                    let at = |pixel: usize| (image * 15 + pixel) * 8 + c;
                    let s = y[at(0)] / x[at(0)];
                    assert!(s > 0.0 && s < 1.0, "{s}");
                    for p in 0..15 {
                        assert!((y[at(p)] - s * x[at(p)]).abs() < 1e-6);
                    }
                }
            }
        }
    }

    #[test]
    fn zero_excitation_halves_and_a_large_bias_is_the_identity() {
        let x = random(3 * 4 * 8);
        let zero = with(
            with(part(config(Activation::Sigmoid, true)), "expand_bias", 0.0),
            "expand",
            0.0,
        );
        let y = values(zero.forward(map(&x, 1)));
        assert!(x.iter().zip(&y).all(|(x, y)| *y == 0.5 * x));
        let open = with(zero, "expand_bias", 40.0);
        assert_eq!(values(open.forward(map(&x, 1))), x);
    }

    #[test]
    fn moving_pixels_moves_the_answer_and_nothing_else() {
        let se = part(config(Activation::Sigmoid, false));
        let x = random(3 * 4 * 8);
        // Whole values, so that the mean does not depend on the order of its sum.
        let x: Vec<f32> = x.iter().map(|v| (v * 8.0).round()).collect();
        let turned: Vec<f32> = x.chunks(8).rev().flatten().copied().collect();
        let y = values(se.forward(map(&x, 1)));
        let back: Vec<f32> = values(se.forward(map(&turned, 1)))
            .chunks(8)
            .rev()
            .flatten()
            .copied()
            .collect();
        assert_eq!(y, back);
    }
}
