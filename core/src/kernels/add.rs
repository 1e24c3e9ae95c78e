//! Residual addition (TensorFlow Lite's ADD): both inputs are brought to one scale with 20 extra
//! bits, added, and requantized.

use crate::quant::Multiplier;

/// Bits that the inputs are shifted left by before scaling.
pub const LEFT_SHIFT: u32 = 20;

/// Parameters of an addition.
#[derive(Clone, Copy, Debug)]
pub struct AddParams {
    /// Zero points of the inputs.
    pub zero_points: [i32; 2],
    /// Scale of each input over twice the greater of both; at most 1.
    pub multipliers: [Multiplier; 2],
    /// Twice the greater input scale over 2^20 times the output scale.
    pub output_multiplier: Multiplier,
    /// Zero point of the output.
    pub output_zero_point: i32,
    /// Lower clamp.
    pub min: i32,
    /// Upper clamp.
    pub max: i32,
}

impl AddParams {
    /// The parameters for tensors of these scales and zero points, clamped to `act`.
    #[cfg(feature = "std")]
    pub fn new(
        inputs: [crate::quant::Affine; 2],
        out: crate::quant::Affine,
        act: (i8, i8),
    ) -> Self {
        let scales = inputs.map(|a| f64::from(a.scale));
        let twice = 2.0 * scales[0].max(scales[1]);
        let output = twice / (f64::from(1u32 << LEFT_SHIFT) * f64::from(out.scale));
        Self {
            zero_points: inputs.map(|a| i32::from(a.zero_point)),
            multipliers: scales.map(|s| Multiplier::from_real(s / twice)),
            output_multiplier: Multiplier::from_real(output),
            output_zero_point: i32::from(out.zero_point),
            min: i32::from(act.0),
            max: i32::from(act.1),
        }
    }

    /// The same addition with its inputs exchanged.
    pub fn swapped(&self) -> Self {
        let mut swapped = *self;
        swapped.zero_points.swap(0, 1);
        swapped.multipliers.swap(0, 1);
        swapped
    }

    #[inline(always)]
    fn one(&self, a: i8, b: i8) -> i8 {
        let scaled = |x: i8, i: usize| {
            self.multipliers[i].apply((i32::from(x) - self.zero_points[i]) << LEFT_SHIFT)
        };
        // Each term is below 2^28.
        let sum = scaled(a, 0) + scaled(b, 1);
        let q = self
            .output_multiplier
            .apply(sum)
            .saturating_add(self.output_zero_point);
        q.max(self.min).min(self.max) as i8
    }
}

/// `output = a + b`, value by value.
pub fn add(p: &AddParams, a: &[i8], b: &[i8], output: &mut [i8]) {
    for ((y, a), b) in output.iter_mut().zip(a).zip(b) {
        *y = p.one(*a, *b);
    }
}

/// `a = a + b`.
pub fn add_in_place(p: &AddParams, a: &mut [i8], b: &[i8]) {
    for (a, b) in a.iter_mut().zip(b) {
        *a = p.one(*a, *b);
    }
}
