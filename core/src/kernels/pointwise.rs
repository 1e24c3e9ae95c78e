//! 1x1 convolution with stride 1: every pixel's channels times the weight matrix.

use super::Filter;
use super::dot::{dot, dot4};

/// `input [h, w, in_ch]` to `output [h, w, out_ch]`.
pub fn pointwise(f: &Filter<'_>, input: &[i8], output: &mut [i8]) {
    let (in_ch, out_ch) = (f.input.c, f.output.c);
    if input.len() < f.input.len() || output.len() < f.output.len() || in_ch == 0 || out_ch == 0 {
        return;
    }
    for (x, y) in input
        .chunks_exact(in_ch)
        .zip(output.chunks_exact_mut(out_ch))
    {
        row(f, x, y);
    }
}

/// One pixel: all output channels of `x`, weights `[out][x.len()]`.
#[inline(always)]
pub(super) fn row(f: &Filter<'_>, x: &[i8], y: &mut [i8]) {
    let n = x.len();
    let mut channel = 0;
    let mut quads = y.chunks_exact_mut(4);
    for quad in &mut quads {
        let sums = dot4(f.weights.get(channel * n..).unwrap_or(&[]), n, x);
        for (k, (y, sum)) in quad.iter_mut().zip(sums).enumerate() {
            let (bias, multiplier) = f.channels.get(channel + k);
            *y = f.out.finish(bias + sum, multiplier);
        }
        channel += 4;
    }
    for y in quads.into_remainder() {
        let (bias, multiplier) = f.channels.get(channel);
        let sum = dot(
            f.weights.get(channel * n..channel * n + n).unwrap_or(&[]),
            x,
        );
        *y = f.out.finish(bias + sum, multiplier);
        channel += 1;
    }
}
