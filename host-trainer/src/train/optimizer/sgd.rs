//! Stochastic gradient descent with Nesterov's momentum in the form of Sutskever et al. (2013),
//! as PyTorch and TensorFlow compute it.

/// g ← g + λ θ, v ← μ v + g, θ ← θ − η (g + μ v) with Nesterov's look-ahead, θ ← θ − η v without.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sgd {
    /// μ.
    pub momentum: f32,
    /// Whether the step looks ahead.
    pub nesterov: bool,
    /// λ, an L2 penalty: λ θ joins the gradient.
    pub weight_decay: f32,
}

impl Default for Sgd {
    /// Momentum 0.9 with look-ahead, no decay.
    fn default() -> Self {
        Self {
            momentum: 0.9,
            nesterov: true,
            weight_decay: 0.0,
        }
    }
}

impl Sgd {
    /// One update at rate η. `velocity` is v, 0 at the start. All slices have one length; what is
    /// longer stays as it is.
    pub fn update(
        &self,
        parameters: &mut [f32],
        gradients: &[f32],
        velocity: &mut [f32],
        learning_rate: f64,
    ) {
        let rate = learning_rate as f32;
        for ((p, g), v) in parameters.iter_mut().zip(gradients).zip(velocity) {
            let g = g + self.weight_decay * *p;
            *v = self.momentum * *v + g;
            let direction = if self.nesterov {
                g + self.momentum * *v
            } else {
                *v
            };
            *p -= rate * direction;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_steps_by_hand() {
        let optimizer = Sgd {
            momentum: 0.5,
            nesterov: true,
            weight_decay: 0.0,
        };
        let (mut p, mut v) = ([1.0f32], [0.0f32]);
        // v = 2, direction 2 + 0.5 · 2 = 3; then v = 0.5 · 2 + 4 = 5, direction 4 + 2.5 = 6.5.
        optimizer.update(&mut p, &[2.0], &mut v, 0.1);
        assert!((p[0] - 0.7).abs() < 1e-6);
        optimizer.update(&mut p, &[4.0], &mut v, 0.1);
        assert!((p[0] - 0.05).abs() < 1e-6 && v == [5.0]);
        let plain = Sgd {
            nesterov: false,
            ..optimizer
        };
        let (mut p, mut v) = ([1.0f32], [2.0f32]);
        plain.update(&mut p, &[4.0], &mut v, 0.1);
        assert!((p[0] - 0.5).abs() < 1e-6);
    }

    #[test]
    fn without_momentum_both_forms_are_gradient_descent() {
        for nesterov in [false, true] {
            let optimizer = Sgd {
                momentum: 0.0,
                nesterov,
                weight_decay: 0.25,
            };
            let (mut p, mut v) = ([4.0f32], [0.0f32]);
            optimizer.update(&mut p, &[3.0], &mut v, 0.5);
            assert_eq!(p, [2.0]); // 4 − 0.5 (3 + 0.25 · 4)
        }
    }

    #[test]
    fn look_ahead_makes_an_oscillating_valley_calmer() {
        let run = |nesterov| {
            let optimizer = Sgd {
                momentum: 0.95,
                nesterov,
                weight_decay: 0.0,
            };
            let (mut p, mut v) = ([1.0f32], [0.0f32]);
            for _ in 0..60 {
                let g = [10.0 * p[0]];
                optimizer.update(&mut p, &g, &mut v, 0.02);
            }
            p[0].abs() + v[0].abs()
        };
        assert!(run(true) < 0.5 * run(false));
    }
}
