//! Learning rate over the steps of a stage.

/// Linear warm-up, then half a cosine down to zero (arXiv 1608.03983).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CosineSchedule {
    /// Rate at the end of the warm-up.
    pub peak: f64,
    /// Steps of the warm-up.
    pub warmup: u64,
    /// All steps.
    pub steps: u64,
}

impl CosineSchedule {
    /// The rate of step `step`, counted from 0.
    pub fn rate(&self, step: u64) -> f64 {
        if step < self.warmup {
            return self.peak * (step + 1) as f64 / self.warmup as f64;
        }
        let rest = self.steps.saturating_sub(self.warmup).max(1) as f64;
        let progress = ((step - self.warmup) as f64 / rest).min(1.0);
        self.peak * 0.5 * (1.0 + (core::f64::consts::PI * progress).cos())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rises_linearly_then_falls_to_zero() {
        let s = CosineSchedule {
            peak: 1.0,
            warmup: 4,
            steps: 104,
        };
        assert_eq!([s.rate(0), s.rate(3), s.rate(4)], [0.25, 1.0, 1.0]);
        assert!((s.rate(54) - 0.5).abs() < 1e-12);
        assert!(s.rate(104) < 1e-12 && s.rate(1000) < 1e-12);
        assert!((4..104).all(|i| s.rate(i + 1) <= s.rate(i)));
    }
}
