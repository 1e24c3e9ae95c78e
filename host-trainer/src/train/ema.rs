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

    /// Goes on after `updates`.
    pub fn after(mut self, updates: u64) -> Self {
        self.updates = updates;
        self
    }

    /// Updates so far.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// Decay of update `n`, counted from 1.
    pub fn decay_at(&self, n: u64) -> f64 {
        self.decay.min((1 + n) as f64 / (10 + n) as f64)
    }

    /// Begins the next update and returns its share of the old values.
    pub fn advance(&mut self) -> f32 {
        self.updates += 1;
        self.decay_at(self.updates) as f32
    }

    /// Moves entry `index` toward `now`.
    pub fn follow(&mut self, index: usize, keep: f32, now: &[f32]) {
        if let Some(average) = self.values.get_mut(index) {
            for (a, v) in average.values.iter_mut().zip(now) {
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
        let keep = ema.advance();
        ema.follow(0, keep, &[11.0]);
        assert!((ema.values()[0].values[0] - 9.0).abs() < 1e-5);
    }
}
