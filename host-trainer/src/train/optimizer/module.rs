//! An optimizer applied to every parameter of a net.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Tensor, TensorData};

use super::{OptimizerConfig, State, clip_factor, squared_norm};

/// Whether weight decay applies to the parameter called `name`: to weights, not to batch norm's
/// γ and β nor to biases (EfficientNet's reference code; SE-ResNet's too).
pub fn is_decayed(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    !(last == "gamma" || last == "beta" || last.ends_with("bias"))
}

/// Optimizer, its numbers for each parameter in field order, and the step count.
#[derive(Clone, Debug)]
pub struct ModuleOptimizer {
    config: OptimizerConfig,
    /// Largest norm of all gradients together.
    clip: Option<f64>,
    step: u64,
    states: Vec<State>,
}

impl ModuleOptimizer {
    /// Before the first step. `clip` limits the norm of all gradients together.
    pub fn new(config: OptimizerConfig, clip: Option<f64>) -> Self {
        Self {
            config,
            clip,
            step: 0,
            states: Vec::new(),
        }
    }

    /// The net after one step at `learning_rate`; parameters without gradient stay.
    pub fn step<M: Module>(&mut self, learning_rate: f64, net: M, gradients: GradientsParams) -> M {
        let factor = match self.clip {
            None => 1.0,
            Some(limit) => {
                let mut norm = Norm {
                    gradients: &gradients,
                    squares: 0.0,
                };
                net.visit(&mut norm);
                clip_factor(norm.squares, limit)
            }
        };
        self.step += 1;
        let mut update = Update {
            optimizer: self,
            gradients,
            factor,
            learning_rate,
            path: Vec::new(),
            next: 0,
        };
        net.map(&mut update)
    }
}

struct Norm<'a> {
    gradients: &'a GradientsParams,
    squares: f64,
}

impl ModuleVisitor for Norm<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(g) = self.gradients.get::<D>(param.id) {
            self.squares += squared_norm(&values(g));
        }
    }
}

struct Update<'a> {
    optimizer: &'a mut ModuleOptimizer,
    gradients: GradientsParams,
    factor: f32,
    learning_rate: f64,
    path: Vec<String>,
    next: usize,
}

impl ModuleMapper for Update<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(gradient) = self.gradients.remove::<D>(param.id) else {
            return param;
        };
        let mut gradient = values(gradient);
        if self.factor < 1.0 {
            gradient.iter_mut().for_each(|g| *g *= self.factor);
        }
        let optimizer = &mut *self.optimizer;
        let decayed = self.path.last().is_none_or(|name| is_decayed(name));
        let config = if decayed {
            optimizer.config
        } else {
            optimizer.config.with_weight_decay(0.0)
        };
        if optimizer.states.len() == self.next {
            optimizer.states.push(config.state(gradient.len()));
        }
        let state = &mut optimizer.states[self.next];
        self.next += 1;
        let (step, rate) = (optimizer.step, self.learning_rate);
        param.map(|old| {
            let (dims, device) = (old.dims(), old.device());
            let mut parameters = values(old.inner());
            config.update(&mut parameters, &gradient, state, step, rate);
            Tensor::from_data(TensorData::new(parameters, dims), &device).require_grad()
        })
    }

    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
}

fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().try_to_vec().expect("parameters are f32")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Pointwise;
    use crate::nn::activation::Activation;
    use crate::nn::init::Init;
    use crate::nn::noise::{Noise, Pass};
    use crate::nn::values::{Named, collect};
    use crate::random::stream;
    use crate::train::optimizer::Sgd;
    use burn::tensor::Device;

    fn net() -> Pointwise {
        let mut rng = stream(1, "test", 0);
        Pointwise::new(
            (3, 4),
            Activation::Linear,
            &mut Init {
                device: &Device::flex().autodiff(),
                rng: &mut rng,
            },
        )
    }

    fn gradients(net: &Pointwise) -> GradientsParams {
        let x: Vec<f32> = (0..2 * 4 * 3).map(|i| (i * 7 % 5) as f32 - 2.0).collect();
        let x: Tensor<4> =
            Tensor::from_data(TensorData::new(x, [2, 2, 2, 3]), &Device::flex().autodiff());
        let mut noise = Noise {
            dropout: 0.0,
            drop_path: 0.0,
            rng: stream(0, "none", 0),
        };
        let y = net.forward(x, &Pass::Train(&mut noise));
        let loss = (y.clone() * y.clone() * y).sum();
        GradientsParams::from_grads(loss.backward(), net)
    }

    fn entry<'a>(list: &'a [Named], name: &str) -> &'a [f32] {
        &list.iter().find(|n| n.name == name).unwrap().values
    }

    fn sgd(weight_decay: f32) -> OptimizerConfig {
        OptimizerConfig::Sgd(Sgd {
            momentum: 0.0,
            nesterov: false,
            weight_decay,
        })
    }

    #[test]
    fn decay_spares_batch_norm_and_biases() {
        for (name, decayed) in [
            ("stem.weight", true),
            ("blocks.0.depthwise.norm.gamma", false),
            ("blocks.0.norm.beta", false),
            ("se.reduce", true),
            ("se.reduce_bias", false),
            ("classifier_bias", false),
            ("layers.7.Dense.bias", false),
        ] {
            assert_eq!(is_decayed(name), decayed, "{name}");
        }
        let before = collect(&net());
        let plain = {
            let net = net();
            let g = gradients(&net);
            collect(&ModuleOptimizer::new(sgd(0.0), None).step(0.01, net, g))
        };
        let decayed = {
            let net = net();
            let g = gradients(&net);
            collect(&ModuleOptimizer::new(sgd(0.5), None).step(0.01, net, g))
        };
        assert_eq!(entry(&plain, "norm.gamma"), entry(&decayed, "norm.gamma"));
        assert_eq!(entry(&plain, "norm.beta"), entry(&decayed, "norm.beta"));
        for ((w, p), d) in entry(&before, "weight")
            .iter()
            .zip(entry(&plain, "weight"))
            .zip(entry(&decayed, "weight"))
        {
            assert!((p - d - 0.005 * w).abs() < 1e-6, "{w} {p} {d}");
        }
    }

    #[test]
    fn clipping_limits_the_length_of_the_step() {
        let length = |clip| {
            let before = collect(&net());
            let net = net();
            let g = gradients(&net);
            let after = collect(&ModuleOptimizer::new(sgd(0.0), clip).step(1.0, net, g));
            ["weight", "norm.gamma", "norm.beta"]
                .iter()
                .flat_map(|name| entry(&before, name).iter().zip(entry(&after, name)))
                .map(|(a, b)| f64::from(a - b).powi(2))
                .sum::<f64>()
                .sqrt()
        };
        let free = length(None);
        assert!(free > 1.0, "{free}");
        assert!((length(Some(0.5)) - 0.5).abs() < 1e-4);
        assert!((length(Some(2.0 * free)) - free).abs() < 1e-4);
    }
}
