//! Fully connected layer.

use super::dot::dot4;
use super::operators::{OperatorSet, Operators};
use super::pairs::BLOCK;
use super::{Filter, Layout};

/// `input` (flattened) to `output [out]`; natural weights `[out][in]`. A chip's kernel wants
/// [`super::pairs::dense_scratch`], this one nothing.
///
/// False, with the output unchanged, where a slice is too short or the layout's kernel is not linked.
#[inline(never)]
#[must_use]
pub fn dense<O: Operators>(f: &Filter<'_>, input: &[i8], output: &mut [i8]) -> bool {
    let (Some(x), Some(y)) = (input.get(..f.input.len()), output.get_mut(..f.output.len())) else {
        return false;
    };
    if cfg!(arm_dsp) && (f.layout != Layout::Natural || !O::SET.has(OperatorSet::DENSE_NATURAL)) {
        return false;
    }
    let pairs = f.pairs().filter(|_| cfg!(not(arm_dsp)));
    for (block, y) in y.chunks_mut(BLOCK).enumerate() {
        let first = block * BLOCK;
        let sums = match &pairs {
            Some(pairs) => pairs.dot(block, x),
            None => dot4(f.weights.get(first * x.len()..).unwrap_or(&[]), x.len(), x),
        };
        for (k, (y, sum)) in y.iter_mut().zip(sums).enumerate() {
            let (bias, multiplier) = f.portable_channel(first + k);
            *y = f.out.finish(bias + sum, multiplier);
        }
    }
    true
}
