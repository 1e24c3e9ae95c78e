//! The choice of an optimizer and its numbers.

use serde::{Deserialize, Serialize};

use super::rms_prop::MEAN_SQUARE;
use super::{AdamW, RmsProp, Sgd};

/// An optimizer by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum OptimizerKind {
    /// Adam with decoupled weight decay.
    #[serde(rename = "adamw")]
    #[value(name = "adamw")]
    AdamW,
    /// Gradient descent with Nesterov's momentum.
    Sgd,
    /// TensorFlow's RMSProp.
    #[serde(rename = "rmsprop")]
    #[value(name = "rmsprop")]
    RmsProp,
}

impl OptimizerKind {
    /// With this momentum, which AdamW has none of, this weight decay, and its usual constants.
    pub fn config(self, momentum: f32, weight_decay: f32) -> OptimizerConfig {
        match self {
            Self::AdamW => OptimizerConfig::AdamW(AdamW {
                weight_decay,
                ..AdamW::default()
            }),
            Self::Sgd => OptimizerConfig::Sgd(Sgd {
                momentum,
                weight_decay,
                ..Sgd::default()
            }),
            Self::RmsProp => OptimizerConfig::RmsProp(RmsProp {
                momentum,
                weight_decay,
                ..RmsProp::default()
            }),
        }
    }

    /// Peak rate and weight decay that fit short trainings of small nets.
    pub fn usual(self) -> (f64, f64) {
        match self {
            Self::AdamW => (4e-3, 0.02),
            Self::Sgd => (0.05, 5e-4),
            Self::RmsProp => (4e-3, 1e-5),
        }
    }
}

/// Which optimizer, with its constants.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OptimizerConfig {
    /// Adam with decoupled weight decay.
    AdamW(AdamW),
    /// Gradient descent with Nesterov's momentum.
    Sgd(Sgd),
    /// TensorFlow's RMSProp.
    RmsProp(RmsProp),
}

/// An optimizer's own numbers: two for each parameter (SGD uses the first alone).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// AdamW's m, SGD's v, RMSProp's s.
    pub first: Vec<f32>,
    /// AdamW's v, RMSProp's b.
    pub second: Vec<f32>,
}

impl OptimizerConfig {
    /// The numbers at the start, for `len` parameters.
    pub fn state(&self, len: usize) -> State {
        let (first, second) = match self {
            Self::AdamW(_) => (0.0, len),
            Self::Sgd(_) => (0.0, 0),
            Self::RmsProp(_) => (MEAN_SQUARE, len),
        };
        State {
            first: vec![first; len],
            second: vec![0.0; second],
        }
    }

    /// Update number `step`, counted from 1, of `parameters` for their `gradients`.
    pub fn update(
        &self,
        parameters: &mut [f32],
        gradients: &[f32],
        state: &mut State,
        step: u64,
        learning_rate: f64,
    ) {
        let State { first, second } = state;
        match self {
            Self::AdamW(o) => o.update(parameters, gradients, (first, second), step, learning_rate),
            Self::Sgd(o) => o.update(parameters, gradients, first, learning_rate),
            Self::RmsProp(o) => o.update(parameters, gradients, (first, second), learning_rate),
        }
    }

    /// The same with this weight decay.
    pub fn with_weight_decay(self, weight_decay: f32) -> Self {
        match self {
            Self::AdamW(o) => Self::AdamW(AdamW { weight_decay, ..o }),
            Self::Sgd(o) => Self::Sgd(Sgd { weight_decay, ..o }),
            Self::RmsProp(o) => Self::RmsProp(RmsProp { weight_decay, ..o }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> [OptimizerConfig; 3] {
        [
            OptimizerConfig::AdamW(AdamW::default()),
            OptimizerConfig::Sgd(Sgd::default()),
            OptimizerConfig::RmsProp(RmsProp::default()),
        ]
    }

    #[test]
    fn every_optimizer_finds_the_bottom_of_a_bowl() {
        for optimizer in all() {
            let mut p = vec![1.0f32, -2.0, 0.5];
            let mut state = optimizer.state(3);
            for step in 1..=400 {
                let g: Vec<f32> = p.iter().map(|x| 2.0 * (x - 0.25)).collect();
                optimizer.update(&mut p, &g, &mut state, step, 0.02);
            }
            assert!(
                p.iter().all(|x| (x - 0.25).abs() < 0.02),
                "{optimizer:?}: {p:?}"
            );
        }
    }

    #[test]
    fn parts_and_the_whole_are_updated_to_the_same_bits() {
        for optimizer in all().map(|o| o.with_weight_decay(0.01)) {
            let start: Vec<f32> = (0..37).map(|i| (i * 29 % 41) as f32 / 20.0 - 1.0).collect();
            let gradient = |step: usize| -> Vec<f32> {
                (0..37)
                    .map(|i| ((i + step) * 17 % 43) as f32 / 21.0 - 1.0)
                    .collect()
            };
            let mut whole = (start.clone(), optimizer.state(37));
            let mut parts = [
                (start[..16].to_vec(), optimizer.state(16)),
                (start[16..].to_vec(), optimizer.state(21)),
            ];
            for step in 1..=5usize {
                let g = gradient(step);
                optimizer.update(&mut whole.0, &g, &mut whole.1, step as u64, 0.1);
                for ((p, state), g) in parts.iter_mut().zip([&g[..16], &g[16..]]) {
                    optimizer.update(p, g, state, step as u64, 0.1);
                }
            }
            assert_eq!(whole.0, [parts[0].0.clone(), parts[1].0.clone()].concat());
        }
    }

    #[test]
    fn a_kind_takes_momentum_and_decay_where_it_has_them() {
        let found = OptimizerKind::RmsProp.config(0.5, 0.25);
        let expected = RmsProp {
            momentum: 0.5,
            weight_decay: 0.25,
            ..RmsProp::default()
        };
        assert_eq!(found, OptimizerConfig::RmsProp(expected));
        let adamw = OptimizerKind::AdamW;
        assert_eq!(adamw.config(0.5, 0.25), adamw.config(0.9, 0.25));
    }
}
