//! RMSProp as TensorFlow computes it and EfficientNet was trained with: ε inside the root, the
//! mean square starts at 1, and the learning rate is part of the momentum. (PyTorch's keeps ε
//! outside and starts at 0, which diverges at EfficientNet's rates.)

/// g ← g + λ θ, s ← ρ s + (1 − ρ) g², b ← μ b + η g / √(s + ε), θ ← θ − b.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RmsProp {
    /// ρ.
    pub decay: f32,
    /// μ.
    pub momentum: f32,
    /// ε, inside the root.
    pub epsilon: f32,
    /// λ, an L2 penalty: λ θ joins the gradient.
    pub weight_decay: f32,
}

impl Default for RmsProp {
    /// EfficientNet's: ρ 0.9, μ 0.9, ε 1e-3; no decay.
    fn default() -> Self {
        Self {
            decay: 0.9,
            momentum: 0.9,
            epsilon: 1e-3,
            weight_decay: 0.0,
        }
    }
}

/// Start of the mean square.
pub(super) const MEAN_SQUARE: f32 = 1.0;

impl RmsProp {
    /// One update at rate η. `mean_square` is s, 1 at the start; `step` is b, 0 at the start. All
    /// slices have one length; what is longer stays as it is.
    pub fn update(
        &self,
        parameters: &mut [f32],
        gradients: &[f32],
        (mean_square, step): (&mut [f32], &mut [f32]),
        learning_rate: f64,
    ) {
        let rate = learning_rate as f32;
        for (((p, g), s), b) in parameters
            .iter_mut()
            .zip(gradients)
            .zip(mean_square)
            .zip(step)
        {
            let g = g + self.weight_decay * *p;
            *s = self.decay * *s + (1.0 - self.decay) * g * g;
            *b = self.momentum * *b + rate * g / (*s + self.epsilon).sqrt();
            *p -= *b;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_steps_by_hand() {
        let optimizer = RmsProp {
            decay: 0.5,
            momentum: 0.5,
            epsilon: 0.75,
            weight_decay: 0.0,
        };
        let (mut p, mut s, mut b) = ([1.0f32], [1.0f32], [0.0f32]);
        // s = 0.5 + 0.5 · 6.25 · … with g = 1: s = 1, b = 0.1 / √1.75.
        optimizer.update(&mut p, &[1.0], (&mut s, &mut b), 0.1);
        let first = 0.1 / 1.75f32.sqrt();
        assert!(s == [1.0] && (b[0] - first).abs() < 1e-7 && (p[0] - 1.0 + first).abs() < 1e-7);
        // g = 2: s = 2.5, b = 0.5 b + 0.2 / √3.25.
        optimizer.update(&mut p, &[2.0], (&mut s, &mut b), 0.1);
        let second = 0.5 * first + 0.2 / 3.25f32.sqrt();
        assert!(s == [2.5] && (b[0] - second).abs() < 1e-7);
        assert!((p[0] - 1.0 + first + second).abs() < 1e-6);
    }

    #[test]
    fn a_first_gradient_near_zero_makes_no_large_step() {
        let optimizer = RmsProp::default();
        let (mut p, mut s, mut b) = ([0.0f32], [MEAN_SQUARE], [0.0f32]);
        optimizer.update(&mut p, &[1e-3], (&mut s, &mut b), 0.256);
        // With s = 0 at the start and ε outside the root it would be 0.256 / √0.1 = 0.81.
        assert!(p[0].abs() < 3e-4, "{}", p[0]);
    }

    #[test]
    fn a_rate_that_changes_reaches_only_new_gradients() {
        let optimizer = RmsProp::default();
        let (mut p, mut s, mut b) = ([0.0f32], [1.0f32], [0.5f32]);
        optimizer.update(&mut p, &[0.0], (&mut s, &mut b), 100.0);
        assert_eq!((p, b), ([-0.45], [0.45]));
    }
}
