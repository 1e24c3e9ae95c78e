//! Residual addition (TensorFlow Lite's ADD): both inputs are brought to one scale with 20 extra
//! bits, added, and requantized.

use crate::kernels::arch::operands::Operands;
use crate::kernels::{OperatorSet, Operators};
use crate::op::AddParams;

/// `output = a + b`, value by value, apart or in the place of one or both inputs. False, with the output
/// unchanged, where the maps have different lengths or the addition is not linked.
#[must_use]
pub fn add<O: Operators>(p: &AddParams<'_>, operands: &mut Operands<'_>) -> bool {
    let plain = O::SET.has(OperatorSet::ADD_PLAIN) && p.table.is_none();
    if !plain && !O::SET.has(OperatorSet::ADD) {
        return false;
    }
    let (other, which) = (operands.other, operands.which);
    match operands.maps.split() {
        Ok((a, output)) => {
            if a.len() != output.len() || other.len() != output.len() {
                return false;
            }
            for ((y, a), b) in output.iter_mut().zip(a).zip(other) {
                *y = p.one(*a, *b);
            }
        }
        Err(map) if which == 2 => map.iter_mut().for_each(|x| *x = p.one(*x, *x)),
        Err(map) => {
            if map.len() != other.len() {
                return false;
            }
            for (x, other) in map.iter_mut().zip(other) {
                *x = match which {
                    0 => p.one(*x, *other),
                    _ => p.one(*other, *x),
                };
            }
        }
    }
    true
}
