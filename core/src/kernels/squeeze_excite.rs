//! The scale of squeeze-and-excitation (TensorFlow Lite's MUL with a broadcast channel vector).
//!
//! The gate itself is a mean, a dense layer with its activation as a table, and a dense layer
//! with the sigmoid as a table.

use super::operators::{Every, OperatorSet, Operators};
use crate::quant::Multiplier;

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
    /// The parameters for tensors of these scales and zero points, clamped to `act`.
    #[cfg(feature = "std")]
    pub fn new(
        ch: usize,
        inputs: [crate::quant::Affine; 2],
        out: crate::quant::Affine,
        act: (i8, i8),
    ) -> Self {
        let real = f64::from(inputs[0].scale) * f64::from(inputs[1].scale) / f64::from(out.scale);
        Self {
            ch,
            zero_points: inputs.map(|a| i32::from(a.zero_point)),
            multiplier: Multiplier::from_real(real),
            output_zero_point: i32::from(out.zero_point),
            min: i32::from(act.0),
            max: i32::from(act.1),
        }
    }

    #[inline(always)]
    fn one(&self, x: i8, gate: i8) -> i8 {
        let product =
            (i32::from(x) - self.zero_points[0]) * (i32::from(gate) - self.zero_points[1]);
        let q = self
            .multiplier
            .apply(product)
            .saturating_add(self.output_zero_point);
        q.max(self.min).min(self.max) as i8
    }
}

/// `output[h, w, c] = map[h, w, c] * gate[c]`, value by value. False, with the output unchanged, where
/// the gate is too short or the maps have different lengths or parts of pixels.
#[must_use]
pub fn mul(p: &MulParams, map: &[i8], gate: &[i8], output: &mut [i8]) -> bool {
    mul_linked::<Every>(p, map, gate, output)
}

/// [`mul`] in a program that links the operators `O` only.
pub(super) fn mul_linked<O: Operators>(
    p: &MulParams,
    map: &[i8],
    gate: &[i8],
    output: &mut [i8],
) -> bool {
    if cfg!(arm_dsp) && !O::SET.has(OperatorSet::MUL_PLAIN) {
        return false;
    }
    let Some(gate) = gate.get(..p.ch).filter(|g| !g.is_empty()) else {
        return false;
    };
    if map.len() != output.len() || !map.len().is_multiple_of(gate.len()) {
        return false;
    }
    for (y, x) in output.chunks_exact_mut(p.ch).zip(map.chunks_exact(p.ch)) {
        for ((y, x), g) in y.iter_mut().zip(x).zip(gate) {
            *y = p.one(*x, *g);
        }
    }
    true
}

/// `map[h, w, c] *= gate[c]`. False as for [`mul`].
#[must_use]
pub fn mul_in_place(p: &MulParams, map: &mut [i8], gate: &[i8]) -> bool {
    mul_in_place_linked::<Every>(p, map, gate)
}

/// [`mul_in_place`] in a program that links the operators `O` only.
pub(super) fn mul_in_place_linked<O: Operators>(
    p: &MulParams,
    map: &mut [i8],
    gate: &[i8],
) -> bool {
    if cfg!(arm_dsp) && !O::SET.has(OperatorSet::MUL_PLAIN) {
        return false;
    }
    let Some(gate) = gate.get(..p.ch).filter(|g| !g.is_empty()) else {
        return false;
    };
    if !map.len().is_multiple_of(gate.len()) {
        return false;
    }
    for row in map.chunks_exact_mut(p.ch) {
        for (x, g) in row.iter_mut().zip(gate) {
            *x = p.one(*x, *g);
        }
    }
    true
}
