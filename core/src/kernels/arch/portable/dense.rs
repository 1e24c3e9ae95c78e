//! Fully connected layer.

use super::dot::Dot;
use crate::kernels::{OperatorSet, Operators};
use crate::op::pairs::BLOCK;
use crate::op::{Filter, Layout};

/// `input` (flattened) to `output [out]`; natural weights `[out][in]`. A chip's kernel wants
/// [`crate::op::pairs::dense_scratch`], this one nothing.
///
/// False, with the output unchanged, where a slice is too short or the layout's kernel is not linked.
#[inline(never)]
#[must_use]
pub fn dense<O: Operators, D: Dot>(f: &Filter<'_>, input: &[i8], output: &mut [i8]) -> bool {
    let (Some(x), Some(y)) = (input.get(..f.input.len()), output.get_mut(..f.output.len())) else {
        return false;
    };
    // A constant: a program without packed dense layers has none of their code.
    let packed = O::SET.has(OperatorSet::DENSE);
    let linked = match f.layout {
        Layout::Natural => O::SET.has(OperatorSet::DENSE_NATURAL),
        _ => packed,
    };
    if !linked {
        return false;
    }
    let pairs = f.pairs().filter(|_| packed);
    for (block, y) in y.chunks_mut(BLOCK).enumerate() {
        let first = block * BLOCK;
        let sums = match &pairs {
            Some(pairs) => pairs.dot(block, x),
            None => D::dot4(f.weights.get(first * x.len()..).unwrap_or(&[]), x.len(), x),
        };
        for (k, (y, sum)) in y.iter_mut().zip(sums).enumerate() {
            let (bias, multiplier) = match packed {
                true => f.channel(first + k),
                false => f.channels.get(first + k),
            };
            *y = f.out.finish(bias + sum, multiplier);
        }
    }
    true
}
