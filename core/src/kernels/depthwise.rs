//! Depthwise convolution: each output channel reads one input channel.

use super::m4::depthwise::scratch_words;
#[cfg(arm_dsp)]
use super::m4::{depthwise as m4, words};
use super::maps::Maps;
use super::row_pairs::Form;
use super::{Filter, Layout};
use crate::quant::Multiplier;
use crate::shape::{Shape, Window};

/// Channels summed together, so that a tap's weights and pixels are contiguous runs.
const BLOCK: usize = 8;

/// Scratch bytes: in the row-pair layout what the chip's kernel wants, or the weights of a block of
/// channels and the rows of it that a window covers. None in the natural layout.
pub(super) const fn scratch(f: &Filter<'_>) -> usize {
    match f.layout {
        Layout::RowPairs(form) => depthwise_scratch(form, &f.window, f.input, f.output),
        _ => 0,
    }
}

/// Scratch bytes of a layer in the row-pair layout.
pub const fn depthwise_scratch(form: Form, w: &Window, input: Shape, output: Shape) -> usize {
    let chip = 4 * scratch_words(form, w, output);
    let portable = BLOCK * w.kernel_h * (w.kernel_w + input.w);
    if chip > portable { chip } else { portable }
}

/// `input [h, w, in_ch]` to `output [oh, ow, out_ch]`; natural weights `[kh][kw][out_ch]`. Output
/// channel o reads input channel o / (out_ch / in_ch). Scratch: see [`super::scratch_len`].
pub fn depthwise(f: &Filter<'_>, input: &[i8], output: &mut [i8], scratch: &mut [i8]) {
    let fits = input.len() >= f.input.len() && output.len() >= f.output.len();
    if !fits || f.input.c == 0 || f.output.c < f.input.c {
        return;
    }
    match f.layout {
        Layout::RowPairs(_) => row_pairs(f, &mut Maps::Apart(input, output), scratch),
        _ => natural(f, input, output),
    }
}

/// [`depthwise`] on a map that becomes its own output: the row-pair layout, one output a channel,
/// and an output of the input's shape.
pub fn depthwise_in_place(f: &Filter<'_>, map: &mut [i8], scratch: &mut [i8]) {
    if map.len() >= f.input.len() && f.input == f.output && f.input.c > 0 {
        row_pairs(f, &mut Maps::InPlace(map), scratch);
    }
}

fn natural(f: &Filter<'_>, input: &[i8], output: &mut [i8]) {
    let (Shape { h, w, c }, out) = (f.input, f.output);
    let multiplier = out.c / c;
    let window = &f.window;
    for (i, pixel) in output
        .chunks_exact_mut(out.c)
        .enumerate()
        .take(out.h * out.w)
    {
        let (oy, ox) = (i / out.w, i % out.w);
        let (rows, columns) = (window.rows(oy, h), window.columns(ox, w));
        for (block, y) in pixel.chunks_mut(BLOCK).enumerate() {
            let first = block * BLOCK;
            let mut sums = [0i32; BLOCK];
            for (k, sum) in sums.iter_mut().enumerate().take(y.len()) {
                *sum = f.channels.get(first + k).0;
            }
            for ky in 0..window.kernel_h {
                for kx in 0..window.kernel_w {
                    let tap = (ky * window.kernel_w + kx) * out.c + first;
                    let weights = &f.weights[tap..][..y.len()];
                    if rows.contains(&ky) && columns.contains(&kx) {
                        let iy = oy * window.stride_h + ky - window.pad_top;
                        let ix = ox * window.stride_w + kx - window.pad_left;
                        let at = (iy * w + ix) * c;
                        if multiplier == 1 {
                            let x = &input[at + first..][..y.len()];
                            for ((sum, w), x) in sums.iter_mut().zip(weights).zip(x) {
                                *sum += i32::from(*w as i8) * i32::from(*x);
                            }
                        } else {
                            for (k, (sum, w)) in sums.iter_mut().zip(weights).enumerate() {
                                let x = input[at + (first + k) / multiplier];
                                *sum += i32::from(*w as i8) * i32::from(x);
                            }
                        }
                    } else {
                        for (sum, w) in sums.iter_mut().zip(weights) {
                            *sum += i32::from(*w as i8) * f.input_zero_point;
                        }
                    }
                }
            }
            for (k, (y, sum)) in y.iter_mut().zip(sums).enumerate() {
                *y = f.out.finish(sum, f.channels.get(first + k).1);
            }
        }
    }
}

fn row_pairs(f: &Filter<'_>, maps: &mut Maps<'_>, scratch: &mut [i8]) {
    #[cfg(arm_dsp)]
    if let (Some(pairs), Some(scratch)) = (f.row_pairs(), words::aligned(scratch)) {
        let layer = m4::Layer {
            input: f.input,
            output: f.output,
            window: f.window,
            input_zero_point: f.input_zero_point,
            form: pairs.form(),
            params: pairs.words(),
            table: f.out.lookup,
            act: (f.out.min as i8, f.out.max as i8),
        };
        if layer.run(maps, scratch) {
            return;
        }
    }
    let (Some(pairs), Some((weights, rows))) =
        (f.row_pairs(), scratch.split_at_mut_checked(BLOCK * f.taps))
    else {
        return;
    };
    for first in (0..f.output.c).step_by(BLOCK) {
        let channels = BLOCK.min(f.output.c - first);
        weights.fill(0);
        for k in 0..channels {
            // One channel's weights, then the next one's: [taps][8].
            pairs.unpack(first + k, BLOCK, weights.get_mut(k..).unwrap_or(&mut []));
        }
        let multipliers = core::array::from_fn(|k| f.channel(first + k));
        block(f, maps, (first, channels), weights, &multipliers, rows);
    }
}

/// All pixels of eight output channels at most, whose weights are `[taps][8]`. A row of the input
/// is copied to `rows [kernel_h][w][8]` before the output may take its place.
fn block(
    f: &Filter<'_>,
    maps: &mut Maps<'_>,
    (first, channels): (usize, usize),
    weights: &[i8],
    multipliers: &[(i32, Multiplier); BLOCK],
    rows: &mut [i8],
) {
    let (Shape { h, w, c }, out, window) = (f.input, f.output, &f.window);
    let (ring, many) = (window.kernel_h, out.c / c);
    let mut next = 0;
    for oy in 0..out.h {
        let taps = window.rows(oy, h);
        let end = (oy * window.stride_h + taps.end).saturating_sub(window.pad_top);
        for row in next..end.max(next) {
            let slot = row % ring * w * BLOCK;
            let input = maps.input().get(row * w * c..).unwrap_or(&[]);
            let pixels = input.chunks_exact(c);
            let to = rows
                .get_mut(slot..)
                .unwrap_or(&mut [])
                .chunks_exact_mut(BLOCK);
            for (to, pixel) in to.zip(pixels).take(w) {
                for (k, to) in to.iter_mut().enumerate().take(channels) {
                    *to = pixel.get((first + k) / many).copied().unwrap_or(0);
                }
            }
        }
        next = next.max(end);
        for ox in 0..out.w {
            let columns = window.columns(ox, w);
            let mut sums = multipliers.map(|(bias, _)| bias);
            for (tap, weights) in weights.as_chunks::<BLOCK>().0.iter().enumerate() {
                let (ky, kx) = (tap / window.kernel_w, tap % window.kernel_w);
                let mut x = [f.input_zero_point as i8; BLOCK];
                if taps.contains(&ky) && columns.contains(&kx) {
                    let slot = (oy * window.stride_h + ky - window.pad_top) % ring;
                    let ix = ox * window.stride_w + kx - window.pad_left;
                    let at = (slot * w + ix) * BLOCK;
                    x = rows
                        .get(at..)
                        .and_then(|r| r.first_chunk())
                        .copied()
                        .unwrap_or(x);
                }
                for ((sum, w), x) in sums.iter_mut().zip(weights).zip(x) {
                    *sum += i32::from(*w) * i32::from(x);
                }
            }
            let at = (oy * out.w + ox) * out.c + first;
            let output = maps.output().get_mut(at..at + channels).unwrap_or(&mut []);
            for ((y, sum), (_, multiplier)) in output.iter_mut().zip(sums).zip(multipliers) {
                *y = f.out.finish(sum, *multiplier);
            }
        }
    }
}
