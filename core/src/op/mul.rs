//! Parameters of a multiplication by one number a channel.

use super::quant::Multiplier;

/// Parameters of a multiplication.
#[derive(Clone, Copy, Debug)]
pub struct MulParams {
    /// Channels.
    pub ch: usize,
    /// Zero points of map and gate.
    pub zero_points: [i32; 2],
    /// Product of both scales over the output's.
    pub multiplier: Multiplier,
    /// Zero point of the output.
    pub output_zero_point: i32,
    /// Lower clamp.
    pub min: i32,
    /// Upper clamp.
    pub max: i32,
}

impl MulParams {
    #[inline(always)]
    pub(crate) fn one(&self, x: i8, gate: i8) -> i8 {
        let product =
            (i32::from(x) - self.zero_points[0]) * (i32::from(gate) - self.zero_points[1]);
        let q = self
            .multiplier
            .apply(product)
            .saturating_add(self.output_zero_point);
        q.max(self.min).min(self.max) as i8
    }
}
