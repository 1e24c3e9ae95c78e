//! The optimizer and the moving average as one pass over all parameters.
//!
//! A net of 60 small tensors costs more in bookkeeping than in arithmetic when an optimizer
//! handles tensor after tensor with a graph operation each: here every parameter is read once,
//! updated, averaged and written back.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Gradients, Tensor, TensorData};

use super::ema::Ema;

/// AdamW (arXiv 1711.05101, algorithm 2): m = β₁ m + (1 − β₁) g, v = β₂ v + (1 − β₂) g²,
/// w ← w − η (m̂ / (√v̂ + ε) + λ w), with m̂, v̂ divided by 1 − βᵗ.
#[derive(Clone, Debug)]
pub struct AdamW {
    /// Decoupled weight decay λ.
    pub weight_decay: f64,
    step: i32,
    state: Vec<(Vec<f32>, Vec<f32>)>,
}

const BETAS: (f32, f32) = (0.9, 0.999);
const EPSILON: f32 = 1e-5;

impl AdamW {
    /// Without history.
    pub fn new(weight_decay: f64) -> Self {
        Self {
            weight_decay,
            step: 0,
            state: Vec::new(),
        }
    }

    /// One step on every parameter of `net` that has a gradient; `ema` follows parameters and
    /// running statistics.
    pub fn step<M: Module>(
        &mut self,
        net: M,
        gradients: &Gradients,
        rate: f64,
        ema: &mut Ema,
    ) -> M {
        self.step += 1;
        let keep = ema.advance();
        net.map(&mut Sweep {
            optimizer: self,
            gradients,
            rate,
            ema,
            keep,
            index: 0,
        })
    }

    /// Updates parameter `index`.
    fn update(&mut self, index: usize, rate: f64, values: &mut [f32], gradient: &[f32]) {
        if self.state.len() <= index {
            self.state.resize(index + 1, Default::default());
        }
        let (m, v) = &mut self.state[index];
        m.resize(values.len(), 0.0);
        v.resize(values.len(), 0.0);
        let (beta1, beta2) = BETAS;
        let scale1 = (rate / (1.0 - f64::from(beta1).powi(self.step))) as f32;
        let scale2 = (1.0 / (1.0 - f64::from(beta2).powi(self.step))) as f32;
        let decay = (1.0 - rate * self.weight_decay) as f32;
        for (((w, g), m), v) in values.iter_mut().zip(gradient).zip(m).zip(v) {
            *m = beta1 * *m + (1.0 - beta1) * g;
            *v = beta2 * *v + (1.0 - beta2) * g * g;
            *w = decay * *w - scale1 * *m / ((scale2 * *v).sqrt() + EPSILON);
        }
    }
}

struct Sweep<'a> {
    optimizer: &'a mut AdamW,
    gradients: &'a Gradients,
    rate: f64,
    ema: &'a mut Ema,
    keep: f32,
    index: usize,
}

impl ModuleMapper for Sweep<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let index = self.index;
        self.index += 1;
        let tensor = param.val();
        let gradient = tensor.grad(self.gradients);
        let (dims, device) = (tensor.dims(), tensor.device());
        let mut values = crate::nn::values::numbers(tensor);
        let Some(gradient) = gradient else {
            self.ema.follow(index, self.keep, &values);
            return param;
        };
        let gradient = crate::nn::values::numbers(gradient);
        self.optimizer
            .update(index, self.rate, &mut values, &gradient);
        self.ema.follow(index, self.keep, &values);
        param.map(|_| Tensor::from_data(TensorData::new(values, dims), &device).require_grad())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_step_moves_by_the_rate_against_the_sign() {
        let mut optimizer = AdamW::new(0.0);
        optimizer.step = 1;
        let mut w = [1.0, -2.0];
        optimizer.update(0, 0.1, &mut w, &[3.0, -0.5]);
        assert!(
            (w[0] - 0.9).abs() < 1e-5 && (w[1] + 1.9).abs() < 1e-4,
            "{w:?}"
        );
    }

    #[test]
    fn two_steps_match_the_formula_in_f64() {
        let mut optimizer = AdamW::new(0.3);
        let (mut w, rate) = ([0.7f32], 0.01);
        let (mut m, mut v, mut exact) = (0.0f64, 0.0f64, f64::from(w[0]));
        for (t, g) in [0.25f64, -1.5, 0.75].into_iter().enumerate() {
            optimizer.step += 1;
            optimizer.update(0, rate, &mut w, &[g as f32]);
            let t = t as i32 + 1;
            m = 0.9 * m + 0.1 * g;
            v = 0.999 * v + 0.001 * g * g;
            let (m_hat, v_hat) = (m / (1.0 - 0.9f64.powi(t)), v / (1.0 - 0.999f64.powi(t)));
            exact -= rate * (m_hat / (v_hat.sqrt() + 1e-5) + 0.3 * exact);
            assert!((f64::from(w[0]) - exact).abs() < 1e-6, "{w:?} {exact}");
        }
    }
}
