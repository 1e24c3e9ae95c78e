//! A trunk that stays as it is, and a classifier that learns.

use burn::module::Module;
use burn::tensor::Tensor;

use crate::net::{Classifier, EfficientNet};
use crate::nn::noise::Pass;

/// A net whose trunk has no noise, no batch statistics and no gradient.
#[derive(Module, Debug)]
pub(crate) struct HeadOnly {
    /// The whole net.
    pub net: EfficientNet,
}

impl Classifier for HeadOnly {
    fn forward(&self, x: Tensor<4>, pass: &mut Pass<'_>) -> Tensor<2> {
        let features = match pass {
            Pass::Evaluate => self.net.features(x, pass),
            Pass::Train(_) => {
                let trunk = self.net.valid();
                Tensor::from_inner(trunk.features(x.inner(), &mut Pass::Evaluate))
            }
        };
        self.net.classify(features, pass)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;
    use crate::net::{CompoundScaling, EfficientNetConfig};
    use crate::nn::Activation;
    use crate::nn::init::Init;
    use crate::nn::noise::Noise;
    use crate::nn::values::collect;
    use crate::train::optimizer::{ModuleOptimizer, OptimizerConfig, Sgd};
    use crate::util::random::stream;

    #[test]
    fn only_the_classifier_moves() {
        let scaling = CompoundScaling {
            width: 0.5,
            depth: 1.0,
            resolution: 1.0,
        };
        let config = EfficientNetConfig::tiny([12, 12, 1], 3, scaling, 2, Activation::Silu);
        let device = Device::flex().autodiff();
        let net = HeadOnly {
            net: config.init(&mut Init {
                device: &device,
                rng: &mut stream(1, "test", 0),
            }),
        };
        let before = collect(&net);
        let x: Vec<f32> = (0..4 * 144).map(|i| (i % 17) as f32 / 8.0 - 1.0).collect();
        let x = Tensor::from_data(TensorData::new(x, [4, 12, 12, 1]), &device);
        let logits = net.forward(x, &mut Pass::Train(&mut Noise::none(0)));
        let gradients = logits.powi_scalar(2).sum().backward();
        let decayed = Sgd {
            weight_decay: 0.1,
            ..Sgd::default()
        };
        let mut optimizer = ModuleOptimizer::new(OptimizerConfig::Sgd(decayed), None);
        let after = collect(&optimizer.step(net, &gradients, 0.1, None));
        for (old, new) in before.iter().zip(&after) {
            let moved = old.values != new.values;
            assert_eq!(moved, old.name.contains("classifier"), "{}", old.name);
        }
    }
}
