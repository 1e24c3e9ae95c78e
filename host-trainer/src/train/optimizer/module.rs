//! An optimizer applied to every parameter of a net, and the moving average behind it, as one
//! pass.
//!
//! A net of 60 small tensors costs more in bookkeeping than in arithmetic when every operation is
//! one of the graph: here each parameter is read once, updated, averaged and written back.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Gradients, Tensor, TensorData, Transaction};

use super::{OptimizerConfig, State, clip_factor, squared_norm};
use crate::nn::ops::is_fused;
use crate::nn::values::numbers;
use crate::train::ema::Ema;

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

    /// Goes on after `step` steps with the numbers that they left.
    pub fn after(mut self, step: u64, states: Vec<State>) -> Self {
        (self.step, self.states) = (step, states);
        self
    }

    /// Steps so far.
    pub fn steps(&self) -> u64 {
        self.step
    }

    /// Its numbers for each trained parameter, in field order.
    pub fn states(&self) -> &[State] {
        &self.states
    }

    /// The net after one step at `learning_rate`; parameters without gradient stay. `ema`, where
    /// there is one, follows parameters and running statistics.
    pub fn step<M: Module>(
        &mut self,
        net: M,
        gradients: &Gradients,
        learning_rate: f64,
        mut ema: Option<&mut Ema>,
    ) -> M {
        let read = Read::all(&net, gradients);
        let factor = match self.clip {
            None => 1.0,
            Some(limit) => {
                let mut norm = Norm {
                    gradients,
                    read: &read,
                    entry: 0,
                    squares: 0.0,
                };
                net.visit(&mut norm);
                clip_factor(norm.squares, limit)
            }
        };
        self.step += 1;
        let keep = ema.as_deref_mut().map_or(0.0, Ema::advance);
        let mut update = Update {
            optimizer: self,
            gradients,
            read,
            factor,
            learning_rate,
            ema,
            keep,
            path: Vec::new(),
            entry: 0,
            next: 0,
        };
        net.map(&mut update)
    }
}

/// A step's parameters and gradients as numbers. A GPU answers each question when it has done all its
/// work, so it is asked once for everything; on the CPU the list is empty and each is read in its
/// turn.
#[derive(Default)]
struct Read(Vec<(Vec<f32>, Option<Vec<f32>>)>);

impl Read {
    fn all<M: Module>(net: &M, gradients: &Gradients) -> Self {
        if net.devices().iter().all(is_fused) {
            return Self::default();
        }
        let mut ask = Ask {
            gradients,
            transaction: Transaction::default(),
            tracked: Vec::new(),
        };
        net.visit(&mut ask);
        let mut all = ask.transaction.execute().into_iter();
        let mut next = || {
            let data = all
                .next()
                .map(|d| d.try_to_vec().expect("the tensor is f32"));
            data.unwrap_or_default()
        };
        Self(
            ask.tracked
                .iter()
                .map(|tracked| (next(), tracked.then(&mut next)))
                .collect(),
        )
    }

    fn parameters<const D: usize>(&self, entry: usize, tensor: Tensor<D>) -> Vec<f32> {
        match self.0.get(entry) {
            Some((parameters, _)) => parameters.clone(),
            None => numbers(tensor),
        }
    }

    fn gradient<const D: usize>(&self, entry: usize, tensor: Tensor<D>) -> Vec<f32> {
        match self.0.get(entry) {
            Some((_, Some(gradient))) => gradient.clone(),
            _ => numbers(tensor),
        }
    }
}

/// Collects what [`Read`] asks for.
struct Ask<'a> {
    gradients: &'a Gradients,
    transaction: Transaction,
    /// Whether each entry has a gradient.
    tracked: Vec<bool>,
}

impl Ask<'_> {
    fn register<const D: usize>(&mut self, tensor: Tensor<D>) {
        self.transaction = core::mem::take(&mut self.transaction).register(tensor.inner());
    }
}

impl ModuleVisitor for Ask<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val();
        let gradient = value.grad(self.gradients);
        self.tracked.push(gradient.is_some());
        self.register(value);
        if let Some(gradient) = gradient {
            self.register(gradient);
        }
    }
}

struct Norm<'a> {
    gradients: &'a Gradients,
    read: &'a Read,
    entry: usize,
    squares: f64,
}

impl ModuleVisitor for Norm<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(g) = param.val().grad(self.gradients) {
            self.squares += squared_norm(&self.read.gradient(self.entry, g));
        }
        self.entry += 1;
    }
}

struct Update<'a> {
    optimizer: &'a mut ModuleOptimizer,
    gradients: &'a Gradients,
    read: Read,
    factor: f32,
    learning_rate: f64,
    ema: Option<&'a mut Ema>,
    keep: f32,
    path: Vec<String>,
    entry: usize,
    next: usize,
}

impl Update<'_> {
    fn follow(&mut self, entry: usize, now: &[f32]) {
        if let Some(ema) = &mut self.ema {
            ema.follow(entry, self.keep, now);
        }
    }
}

impl ModuleMapper for Update<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let entry = self.entry;
        self.entry += 1;
        let tensor = param.val();
        let gradient = tensor.grad(self.gradients);
        let (dims, device) = (tensor.dims(), tensor.device());
        let mut parameters = self.read.parameters(entry, tensor);
        let Some(gradient) = gradient else {
            self.follow(entry, &parameters);
            return param;
        };
        let mut gradient = self.read.gradient(entry, gradient);
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
        config.update(&mut parameters, &gradient, state, step, rate);
        self.follow(entry, &parameters);
        param.map(|_| Tensor::from_data(TensorData::new(parameters, dims), &device).require_grad())
    }

    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Pointwise;
    use crate::nn::activation::Activation;
    use crate::nn::init::Init;
    use crate::nn::noise::{Noise, Pass};
    use crate::nn::values::{Named, collect};
    use crate::train::optimizer::Sgd;
    use crate::util::random::stream;
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

    fn gradients(net: &Pointwise) -> Gradients {
        let x: Vec<f32> = (0..2 * 4 * 3).map(|i| (i * 7 % 5) as f32 - 2.0).collect();
        let x: Tensor<4> =
            Tensor::from_data(TensorData::new(x, [2, 2, 2, 3]), &Device::flex().autodiff());
        let mut noise = Noise::none(0);
        let y = net.forward(x, &Pass::Train(&mut noise));
        let loss = (y.clone() * y.clone() * y).sum();
        loss.backward()
    }

    fn stepped(optimizer: OptimizerConfig, clip: Option<f64>, rate: f64) -> Vec<Named> {
        let net = net();
        let g = gradients(&net);
        let mut ema = Ema::new(0.9, collect(&net));
        collect(&ModuleOptimizer::new(optimizer, clip).step(net, &g, rate, Some(&mut ema)))
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
        let plain = stepped(sgd(0.0), None, 0.01);
        let decayed = stepped(sgd(0.5), None, 0.01);
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
    fn the_average_follows_parameters_and_running_statistics() {
        let net = net();
        let g = gradients(&net);
        let before = collect(&self::net());
        let mut ema = Ema::new(0.9, before.clone());
        let keep = ema.decay_at(1) as f32;
        let after =
            collect(&ModuleOptimizer::new(sgd(0.0), None).step(net, &g, 0.5, Some(&mut ema)));
        for ((old, new), average) in before.iter().zip(&after).zip(ema.values()) {
            assert_ne!(old.values, new.values, "{}", old.name);
            for ((o, n), a) in old.values.iter().zip(&new.values).zip(&average.values) {
                assert!(
                    (keep * o + (1.0 - keep) * n - a).abs() < 1e-5,
                    "{}",
                    old.name
                );
            }
        }
    }

    #[test]
    fn clipping_limits_the_length_of_the_step() {
        let length = |clip| {
            let before = collect(&net());
            let after = stepped(sgd(0.0), clip, 1.0);
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
