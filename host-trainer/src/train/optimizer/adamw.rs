//! AdamW: Adam (arXiv 1412.6980) with decoupled weight decay (arXiv 1711.05101, algorithm 2).

/// m ← β₁ m + (1 − β₁) g, v ← β₂ v + (1 − β₂) g²,
/// θ ← θ (1 − η λ) − η m̂ / (√v̂ + ε) with m̂ = m / (1 − β₁ᵗ), v̂ = v / (1 − β₂ᵗ).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// β₁.
    pub beta_1: f32,
    /// β₂.
    pub beta_2: f32,
    /// ε, outside the root.
    pub epsilon: f32,
    /// λ.
    pub weight_decay: f32,
}

impl Default for AdamW {
    /// β 0.9 and 0.999, ε 1e-5, no decay.
    fn default() -> Self {
        Self {
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-5,
            weight_decay: 0.0,
        }
    }
}

impl AdamW {
    /// Update number `step`, counted from 1, at rate η. `first` and `second` are m and v, 0 at
    /// the start. All slices have one length; what is longer stays as it is.
    pub fn update(
        &self,
        parameters: &mut [f32],
        gradients: &[f32],
        (first, second): (&mut [f32], &mut [f32]),
        step: u64,
        learning_rate: f64,
    ) {
        let power = |beta: f32| f64::from(beta).powi(step.min(i32::MAX as u64) as i32);
        // Both corrections are numbers of the step alone: one division each, not one an element.
        let first_scale = (learning_rate / (1.0 - power(self.beta_1))) as f32;
        let second_scale = (1.0 / (1.0 - power(self.beta_2))) as f32;
        let keep = (1.0 - learning_rate * f64::from(self.weight_decay)) as f32;
        let (b1, b2) = (self.beta_1, self.beta_2);
        for (((p, g), m), v) in parameters.iter_mut().zip(gradients).zip(first).zip(second) {
            *m = b1 * *m + (1.0 - b1) * g;
            *v = b2 * *v + (1.0 - b2) * g * g;
            *p = keep * *p - first_scale * *m / ((second_scale * *v).sqrt() + self.epsilon);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::module::{Module, Param};
    use burn::optim::{AdamWConfig, GradientsParams};
    use burn::tensor::{Device, Tensor, TensorData};

    #[test]
    fn the_first_step_has_the_length_of_the_rate() {
        let (mut p, mut m, mut v) = ([1.0f32, -2.0], [0.0; 2], [0.0; 2]);
        let optimizer = AdamW {
            epsilon: 0.0,
            ..AdamW::default()
        };
        optimizer.update(&mut p, &[0.3, -40.0], (&mut m, &mut v), 1, 0.01);
        assert!(
            (p[0] - 0.99).abs() < 1e-6 && (p[1] + 1.99).abs() < 1e-6,
            "{p:?}"
        );
    }

    #[test]
    fn decay_is_decoupled_from_the_gradient() {
        let (mut p, mut m, mut v) = ([2.0f32], [0.0], [0.0]);
        let optimizer = AdamW {
            weight_decay: 0.1,
            ..AdamW::default()
        };
        optimizer.update(&mut p, &[0.0], (&mut m, &mut v), 1, 0.5);
        assert_eq!((p, m, v), ([1.9], [0.0], [0.0]));
    }

    #[derive(Module, Debug)]
    struct One {
        weight: Param<Tensor<1>>,
    }

    /// The implementation that trained nets before: burn's own.
    #[test]
    fn it_follows_burns_adamw() {
        let device = Device::flex().autodiff();
        let start: Vec<f32> = (0..9).map(|i| i as f32 * 0.3 - 1.0).collect();
        let mut net = One {
            weight: Param::from_tensor(Tensor::from_data(
                TensorData::new(start.clone(), [9]),
                &device,
            )),
        };
        let mut theirs = AdamWConfig::new().with_weight_decay(0.02).init();
        let ours = AdamW {
            weight_decay: 0.02,
            ..AdamW::default()
        };
        let (mut p, mut m, mut v) = (start, vec![0.0; 9], vec![0.0; 9]);
        for step in 1..=50 {
            // Loss Σ x⁴ / 4, gradient x³.
            let x = net.weight.val();
            let loss = x.powi_scalar(4).sum() / 4.0;
            let gradients = GradientsParams::from_grads(loss.backward(), &net);
            net = theirs.step(0.01, net, gradients);
            let g: Vec<f32> = p.iter().map(|x| x * x * x).collect();
            ours.update(&mut p, &g, (&mut m, &mut v), step, 0.01);
        }
        let theirs: Vec<f32> = net.weight.val().into_data().try_to_vec().unwrap();
        for (a, b) in p.iter().zip(&theirs) {
            assert!((a - b).abs() < 1e-5, "{a} {b}");
        }
    }
}
