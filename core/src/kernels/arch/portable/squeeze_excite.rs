//! The scale of squeeze-and-excitation (TensorFlow Lite's MUL with a broadcast channel vector).
//!
//! The gate itself is a mean, a dense layer with its activation as a table, and a dense layer
//! with the sigmoid as a table.

use crate::kernels::arch::operands::Operands;
use crate::kernels::{OperatorSet, Operators};
use crate::op::MulParams;

/// `output[h, w, c] = map[h, w, c] * gate[c]`, apart or in the map's place. False, with the output
/// unchanged, where the gate is too short, the maps have different lengths or parts of pixels, or the
/// multiplication is not linked.
#[must_use]
pub fn mul<O: Operators>(p: &MulParams, operands: &mut Operands<'_>) -> bool {
    if !O::SET.has_any(OperatorSet::MUL.with(OperatorSet::MUL_PLAIN)) {
        return false;
    }
    let Some(gate) = operands.other.get(..p.ch).filter(|g| !g.is_empty()) else {
        return false;
    };
    match operands.maps.split() {
        Ok((map, output)) => {
            if map.len() != output.len() || !map.len().is_multiple_of(gate.len()) {
                return false;
            }
            for (y, x) in output.chunks_exact_mut(p.ch).zip(map.chunks_exact(p.ch)) {
                for ((y, x), g) in y.iter_mut().zip(x).zip(gate) {
                    *y = p.one(*x, *g);
                }
            }
        }
        Err(map) => {
            if !map.len().is_multiple_of(gate.len()) {
                return false;
            }
            for row in map.chunks_exact_mut(p.ch) {
                for (x, g) in row.iter_mut().zip(gate) {
                    *x = p.one(*x, *g);
                }
            }
        }
    }
    true
}
