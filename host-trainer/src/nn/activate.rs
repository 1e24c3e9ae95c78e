//! Activations of tensors by burn's stock operators, with gradients: for small tensors and for
//! sums, which no fused operator follows.

use burn::tensor::{Tensor, activation};

use super::activation::Activation;

/// `act` of every element of `x`, of any shape.
pub(crate) fn activate<const D: usize>(x: Tensor<D>, act: Activation) -> Tensor<D> {
    match act {
        Activation::Linear => x,
        Activation::Relu => activation::relu(x),
        Activation::Relu6 => x.clamp(0.0, 6.0),
        Activation::Silu => activation::silu(x),
        Activation::HardSwish => x.clone() * (x + 3.0).clamp(0.0, 6.0) / 6.0,
        Activation::Sigmoid => activation::sigmoid(x),
        Activation::HardSigmoid => (x + 3.0).clamp(0.0, 6.0) / 6.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};

    #[test]
    fn tensors_and_numbers_agree() {
        let values: Vec<f32> = (-40..=40).map(|i| i as f32 * 0.17).collect();
        for act in [
            Activation::Linear,
            Activation::Relu,
            Activation::Relu6,
            Activation::Silu,
            Activation::HardSwish,
            Activation::Sigmoid,
            Activation::HardSigmoid,
        ] {
            let data = TensorData::new(values.clone(), [3, 27]);
            let x: Tensor<2> = Tensor::from_data(data, &Device::flex());
            let y: Vec<f32> = activate(x, act).into_data().try_to_vec().unwrap();
            for (x, y) in values.iter().zip(y) {
                // The fused operators have an exponential of their own, good to 2e-7.
                assert!((act.apply(*x) - y).abs() < 1e-5, "{act:?} at {x}: {y}");
            }
        }
    }
}
