//! 1x1 convolution with stride 1: every pixel's channels times the weight matrix.

use super::dot::{Dot, Plain, as_bytes};
use crate::op::Filter;
use crate::op::pairs::BLOCK;

/// `input [h, w, in_ch]` to `output [h, w, out_ch]`. Scratch of the pair layout:
/// [`crate::op::pairs::conv_scratch`].
///
/// Four output channels at a time over the whole map: their weights stay near.
///
/// False, with the output unchanged, where a slice is too short or the maps have different sizes.
#[must_use]
pub fn pointwise(f: &Filter<'_>, input: &[i8], output: &mut [i8], scratch: &mut [i8]) -> bool {
    let (in_ch, out_ch) = (f.input.c, f.output.c);
    let same = (f.input.h, f.input.w) == (f.output.h, f.output.w);
    let fits = input.len() >= f.input.len() && output.len() >= f.output.len();
    if !same || !fits || in_ch == 0 || out_ch == 0 {
        return false;
    }
    for block in 0..out_ch.div_ceil(BLOCK) {
        match f.pairs() {
            Some(pairs) => {
                let Some(rows) = scratch.get_mut(..BLOCK * in_ch) else {
                    return false;
                };
                pairs.unpack(block, rows);
                four(f, block, as_bytes(rows), input, output);
            }
            None => {
                let rows = f.weights.get(block * BLOCK * in_ch..).unwrap_or(&[]);
                four(f, block, rows, input, output);
            }
        }
    }
    true
}

/// All pixels of four output channels, whose weights are `rows [4][in_ch]`.
#[inline(never)]
fn four(f: &Filter<'_>, block: usize, rows: &[u8], input: &[i8], output: &mut [i8]) {
    let (in_ch, out_ch, first) = (f.input.c, f.output.c, block * BLOCK);
    let channels: [_; BLOCK] = core::array::from_fn(|k| f.channel(first + k));
    let pixels = input
        .chunks_exact(in_ch)
        .zip(output.chunks_exact_mut(out_ch));
    for (x, y) in pixels {
        let sums = Plain::dot4(rows, in_ch, x);
        for (k, y) in y.iter_mut().skip(first).take(BLOCK).enumerate() {
            let (bias, multiplier) = channels[k];
            *y = f.out.finish(bias + sums[k], multiplier);
        }
    }
}
