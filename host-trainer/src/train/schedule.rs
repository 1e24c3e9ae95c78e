//! Learning rate over the steps of a stage.

use core::f64::consts::PI;

use serde::{Deserialize, Serialize};

/// How the rate falls behind the warm-up, as a factor of its peak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// It does not.
    Constant,
    /// Half a cosine: (1 + cos(π t)) / 2, down to 0 (arXiv 1608.03983).
    Cosine,
    /// cos(7π t / 16), down to 0.195: FixMatch and UDA (arXiv 2001.07685, section 2.3).
    CosineSevenSixteenths,
    /// 0.97 for each 1/140 of the steps: EfficientNet's 0.97 every 2.4 of 350 epochs. Counted
    /// from the first step, warm-up included, as the reference code does.
    ExponentialStaircase,
}

/// Factor of one stair, and stairs of a training.
const STAIR: (f64, u64) = (0.97, 140);

impl Schedule {
    /// Factor of the peak rate at step `step`, counted from 0, of `steps`: it rises linearly over
    /// the first `warmup` steps, and is the schedule's from there on; t is the share of the steps
    /// behind the warm-up that are done, at most 1.
    pub fn factor(self, step: u64, warmup: u64, steps: u64) -> f64 {
        if step < warmup {
            return (step + 1) as f64 / warmup as f64;
        }
        let rest = steps.saturating_sub(warmup).max(1) as f64;
        let t = ((step - warmup) as f64 / rest).min(1.0);
        match self {
            Self::Constant => 1.0,
            Self::Cosine => 0.5 * (1.0 + (PI * t).cos()),
            Self::CosineSevenSixteenths => (7.0 * PI * t / 16.0).cos(),
            Self::ExponentialStaircase => {
                let stairs = (step / steps.div_ceil(STAIR.1).max(1)).min(i32::MAX as u64);
                STAIR.0.powi(stairs as i32)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rises_linearly_then_falls_to_zero() {
        let rate = |step| Schedule::Cosine.factor(step, 4, 104);
        assert_eq!([rate(0), rate(3), rate(4)], [0.25, 1.0, 1.0]);
        assert!((rate(54) - 0.5).abs() < 1e-12);
        assert!(rate(104) < 1e-12 && rate(1000) < 1e-12);
        assert!((4..104).all(|i| rate(i + 1) <= rate(i)));
    }

    #[test]
    fn seven_sixteenths_ends_high() {
        let s = Schedule::CosineSevenSixteenths;
        assert_eq!(s.factor(0, 0, 16), 1.0);
        assert!((s.factor(8, 0, 16) - (7.0 * PI / 32.0).cos()).abs() < 1e-12);
        assert!((s.factor(16, 0, 16) - 0.195_090_322_016_128_26).abs() < 1e-12);
        assert_eq!(s.factor(99, 0, 16), s.factor(16, 0, 16));
    }

    #[test]
    fn stairs_are_flat_and_counted_from_the_start() {
        // Stairs of 10 steps.
        let factor = |step, warmup| Schedule::ExponentialStaircase.factor(step, warmup, 1400);
        assert_eq!([factor(0, 0), factor(9, 0)], [1.0, 1.0]);
        assert_eq!([factor(10, 0), factor(39, 0)], [0.97, 0.97f64.powi(3)]);
        // Behind a warm-up of 25 steps two stairs are gone.
        assert_eq!([factor(24, 25), factor(25, 25)], [1.0, 0.97f64.powi(2)]);
    }

    #[test]
    fn every_schedule_stays_within_0_and_1() {
        for s in [
            Schedule::Constant,
            Schedule::Cosine,
            Schedule::CosineSevenSixteenths,
            Schedule::ExponentialStaircase,
        ] {
            for steps in [0, 1, 7, 1000] {
                for warmup in [0, 3, 2000] {
                    for step in 0..1200 {
                        let f = s.factor(step, warmup, steps);
                        assert!((0.0..=1.0).contains(&f), "{s:?} {step}/{steps}: {f}");
                    }
                }
            }
        }
    }
}
