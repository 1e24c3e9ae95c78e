//! Several nets that answer together.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::activation::softmax;

use super::{Classifier, EfficientNet};
use crate::nn::noise::Pass;

/// Nets whose answer is the mean of their probabilities: right more often than each of them, where
/// their errors differ (Lakshminarayanan et al., arXiv 1612.01474, section 2.4).
#[derive(Module, Debug)]
pub(crate) struct Ensemble {
    /// At least one.
    pub nets: Vec<EfficientNet>,
}

impl Classifier for Ensemble {
    /// Logarithms of the mean probabilities; the logits themselves of a single net.
    fn forward(&self, x: Tensor<4>, pass: &mut Pass<'_>) -> Tensor<2> {
        if let [net] = &self.nets[..] {
            return net.forward(x, pass);
        }
        let mut answers = self
            .nets
            .iter()
            .map(|net| softmax(net.forward(x.clone(), pass), 1));
        let first = answers.next().expect("an ensemble has a net");
        let sum = answers.fold(first, |sum, p| sum + p);
        // A probability that all nets round to 0 has a finite logarithm.
        (sum / self.nets.len() as f32).clamp_min(1e-30).log()
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;
    use crate::net::{CompoundScaling, EfficientNetConfig};
    use crate::nn::Activation;
    use crate::nn::init::Init;
    use crate::nn::values::numbers;
    use crate::util::random::stream;

    fn net(seed: u64) -> EfficientNet {
        let scaling = CompoundScaling::phi(0.0);
        EfficientNetConfig::tiny([12, 12, 1], 3, scaling, 2, Activation::Silu).init(&mut Init {
            device: &Device::flex(),
            rng: &mut stream(seed, "weights", 0),
        })
    }

    #[test]
    fn the_answer_is_the_mean_of_probabilities_and_a_single_nets_its_own() {
        let pixels: Vec<f32> = (0..288).map(|i| (i % 17) as f32 / 8.0 - 1.0).collect();
        let x: Tensor<4> =
            Tensor::from_data(TensorData::new(pixels, [2, 12, 12, 1]), &Device::flex());
        let ask = |nets: &[u64]| {
            let nets = nets.iter().map(|seed| net(*seed)).collect();
            Ensemble { nets }.forward(x.clone(), &mut Pass::Evaluate)
        };
        let alone = numbers(net(1).forward(x.clone(), &mut Pass::Evaluate));
        assert_eq!(numbers(ask(&[1])), alone);
        let [both, one, two] = [&[1, 2][..], &[1], &[2]].map(|n| numbers(softmax(ask(n), 1)));
        assert!(one.iter().zip(&two).any(|(a, b)| (a - b).abs() > 1e-3));
        for (m, (a, b)) in both.iter().zip(one.iter().zip(&two)) {
            assert!((m - (a + b) / 2.0).abs() < 1e-5, "{m} {a} {b}");
        }
    }
}
