//! Exponential moving average of weights and running statistics: what is evaluated.

use crate::nn::values::Named;

/// Average with a warm-up: decay min(d, (1 + n) / (10 + n)) at update n, counted from 1, so that
/// the first weights are soon forgotten (EfficientNet's reference code).
#[derive(Clone, Debug, PartialEq)]
pub struct Ema {
    decay: f64,
    updates: u64,
    values: Vec<Named>,
}

impl Ema {
    /// Starts at `values`.
    pub fn new(decay: f64, values: Vec<Named>) -> Self {
        Self {
            decay,
            updates: 0,
            values,
        }
    }

    /// Decay of update `n`, counted from 1.
    pub fn decay_at(&self, n: u64) -> f64 {
        self.decay.min((1 + n) as f64 / (10 + n) as f64)
    }

    /// Moves every value toward `current`, which must have the same entries.
    pub fn update(&mut self, current: &[Named]) {
        self.updates += 1;
        let keep = self.decay_at(self.updates) as f32;
        for (average, now) in self.values.iter_mut().zip(current) {
            for (a, v) in average.values.iter_mut().zip(&now.values) {
                *a = keep * *a + (1.0 - keep) * v;
            }
        }
    }

    /// The averages.
    pub fn values(&self) -> &[Named] {
        &self.values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(value: f32) -> Vec<Named> {
        vec![Named {
            name: "w".into(),
            dims: vec![1],
            values: vec![value],
        }]
    }

    #[test]
    fn warm_up_starts_at_two_elevenths_and_ends_at_the_decay() {
        let mut ema = Ema::new(0.9, one(0.0));
        assert!((ema.decay_at(1) - 2.0 / 11.0).abs() < 1e-12);
        assert_eq!(ema.decay_at(1000), 0.9);
        ema.update(&one(11.0));
        assert!((ema.values()[0].values[0] - 9.0).abs() < 1e-5);
    }
}
