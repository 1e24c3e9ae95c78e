//! Compound scaling (EfficientNet, arXiv 1905.11946, section 3.3): depth α^φ, width β^φ,
//! resolution γ^φ, with the reference code's rounding.

use serde::{Deserialize, Serialize};

/// Multipliers of width, depth and resolution.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CompoundScaling {
    /// Channels.
    pub width: f64,
    /// Repeats of each stage.
    pub depth: f64,
    /// Input height and width.
    pub resolution: f64,
}

impl CompoundScaling {
    /// α = 1.2, β = 1.1, γ = 1.15 raised to φ.
    pub fn phi(phi: f64) -> Self {
        Self {
            width: 1.1f64.powf(phi),
            depth: 1.2f64.powf(phi),
            resolution: 1.15f64.powf(phi),
        }
    }

    /// `ch` scaled to a multiple of `divisor` (8 in the reference), at least `divisor`, never
    /// more than 10 % below the exact product.
    pub fn channels(&self, ch: usize, divisor: usize) -> usize {
        let exact = ch as f64 * self.width;
        let steps = ((exact + divisor as f64 / 2.0) / divisor as f64).floor() as usize;
        let rounded = (steps * divisor).max(divisor);
        if (rounded as f64) < 0.9 * exact {
            rounded + divisor
        } else {
            rounded
        }
    }

    /// ⌈depth · repeats⌉.
    pub fn repeats(&self, repeats: usize) -> usize {
        (self.depth * repeats as f64).ceil() as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_follow_the_reference_rounding() {
        // B4 (width 1.4): 32 → 48, 1280 → 1792; B1 (width 1.0) unchanged; never below 0.9x.
        let b4 = CompoundScaling {
            width: 1.4,
            depth: 1.8,
            resolution: 1.0,
        };
        assert_eq!(
            [b4.channels(32, 8), b4.channels(16, 8), b4.channels(1280, 8)],
            [48, 24, 1792]
        );
        assert_eq!(CompoundScaling::phi(0.0).channels(40, 8), 40);
        assert_eq!(
            [b4.repeats(1), b4.repeats(2), b4.repeats(3), b4.repeats(4)],
            [2, 4, 6, 8]
        );
    }

    #[test]
    fn one_phi_doubles_the_cost() {
        let one = CompoundScaling::phi(1.0);
        let cost = one.depth * one.width.powi(2) * one.resolution.powi(2);
        assert!((cost - 1.92).abs() < 0.01, "{cost}");
    }
}
