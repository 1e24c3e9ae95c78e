//! Fully connected layer.

use super::Filter;
use super::dot::dot4;
use super::pairs::BLOCK;

/// `input` (flattened) to `output [out]`; natural weights `[out][in]`. Scratch of the pair layout:
/// [`super::pairs::dense_scratch`].
pub fn dense(f: &Filter<'_>, input: &[i8], output: &mut [i8], scratch: &mut [i8]) {
    let (Some(x), Some(y)) = (input.get(..f.input.len()), output.get_mut(..f.output.len())) else {
        return;
    };
    #[cfg(arm_dsp)]
    if super::m4::dense(f, x, y, scratch) {
        return;
    }
    #[cfg(not(arm_dsp))]
    let _ = scratch;
    let pairs = f.pairs();
    for (block, y) in y.chunks_mut(BLOCK).enumerate() {
        let first = block * BLOCK;
        let sums = match &pairs {
            Some(pairs) => pairs.dot(block, x),
            None => dot4(f.weights.get(first * x.len()..).unwrap_or(&[]), x.len(), x),
        };
        for (k, (y, sum)) in y.iter_mut().zip(sums).enumerate() {
            let (bias, multiplier) = f.channel(first + k);
            *y = f.out.finish(bias + sum, multiplier);
        }
    }
}
