//! General convolution, any kernel and stride, without a copy of the image's patches.

use super::dot::{Dot, as_bytes};
use crate::kernels::{OperatorSet, Operators};
use crate::op::pairs::BLOCK;
use crate::op::quant::Multiplier;
use crate::op::shape::Shape;
use crate::op::{Filter, Layout};

/// `input [h, w, in_ch]` to `output [oh, ow, out_ch]`; natural weights `[out_ch][kh][kw][in_ch]`.
/// Scratch of the pair layout: [`crate::op::pairs::conv_scratch`].
///
/// False, with the output unchanged, where a slice is too short or the layout's kernel is not linked.
#[must_use]
pub fn conv<O: Operators, D: Dot>(
    f: &Filter<'_>,
    input: &[i8],
    output: &mut [i8],
    scratch: &mut [i8],
) -> bool {
    let (c, out) = (f.input.c, f.output);
    if input.len() < f.input.len() || output.len() < out.len() || c == 0 || out.c == 0 {
        return false;
    }
    // A constant: a program without packed convolutions has none of their code.
    let packed = O::SET.has_any(OperatorSet::CONV_PACKED);
    let linked = match f.layout {
        Layout::Natural => O::SET.has(OperatorSet::CONV_NATURAL),
        _ => packed,
    };
    if !linked {
        return false;
    }
    for block in 0..out.c.div_ceil(BLOCK) {
        match f.pairs().filter(|_| packed) {
            Some(pairs) => {
                let Some(rows) = scratch.get_mut(..BLOCK * f.taps) else {
                    return false;
                };
                pairs.unpack(block, rows);
                four::<O, D>(f, block, as_bytes(rows), input, output);
            }
            None => {
                let rows = f.weights.get(block * BLOCK * f.taps..).unwrap_or(&[]);
                four::<O, D>(f, block, rows, input, output);
            }
        }
    }
    true
}

/// All pixels of four output channels, whose weights are `rows [4][kh][kw][in_ch]`.
///
/// The taps of one kernel row are contiguous in image and weights alike, so each is one dot
/// product. Taps outside the image add w · zero_point.
#[inline(never)]
fn four<O: Operators, D: Dot>(
    f: &Filter<'_>,
    block: usize,
    rows: &[u8],
    input: &[i8],
    output: &mut [i8],
) {
    let (Shape { h, w, c }, out, window) = (f.input, f.output, &f.window);
    let (row_len, first) = (window.kernel_w * c, block * BLOCK);
    let channels: [_; BLOCK] = core::array::from_fn(|k| channel::<O>(f, first + k));
    for (i, pixel) in output
        .chunks_exact_mut(out.c)
        .enumerate()
        .take(out.h * out.w)
    {
        let (oy, ox) = (i / out.w, i % out.w);
        let (inside_rows, columns) = (window.rows(oy, h), window.columns(ox, w));
        let inside = inside_rows.len() == window.kernel_h && columns.len() == window.kernel_w;
        let left = (ox * window.stride_w + columns.start).saturating_sub(window.pad_left);
        let (from, len) = (columns.start * c, columns.len() * c);
        let mut sums = channels.map(|(bias, _)| bias);
        for ky in inside_rows.clone() {
            let iy = oy * window.stride_h + ky - window.pad_top;
            let x = &input[(iy * w + left) * c..][..len];
            let part = D::dot4(rows.get(ky * row_len + from..).unwrap_or(&[]), f.taps, x);
            for (sum, part) in sums.iter_mut().zip(part) {
                *sum += part;
            }
        }
        if !inside {
            for (k, sum) in sums.iter_mut().enumerate() {
                let filter = rows.get(k * f.taps..(k + 1) * f.taps).unwrap_or(&[]);
                let mut outside = total(filter);
                for ky in inside_rows.clone() {
                    let row = filter.get(ky * row_len + from..).unwrap_or(&[]);
                    outside -= total(row.get(..len).unwrap_or(&[]));
                }
                *sum += f.input_zero_point * outside;
            }
        }
        for (k, y) in pixel.iter_mut().skip(first).take(BLOCK).enumerate() {
            *y = f.out.finish(sums[k], channels[k].1);
        }
    }
}

#[inline(never)]
fn total(weights: &[u8]) -> i32 {
    weights.iter().map(|w| i32::from(*w as i8)).sum()
}

/// Bias and multiplier of output channel `c`.
#[inline(always)]
fn channel<O: Operators>(f: &Filter<'_>, c: usize) -> (i32, Multiplier) {
    if O::SET.has_any(OperatorSet::CONV_PACKED) {
        f.channel(c)
    } else {
        f.channels.get(c)
    }
}
