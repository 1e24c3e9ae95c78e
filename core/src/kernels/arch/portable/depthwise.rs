//! Depthwise convolution: each output channel reads one input channel.

use crate::kernels::arch::operands::Maps;
use crate::kernels::{OperatorSet, Operators};
use crate::op::quant::Multiplier;
use crate::op::shape::{Shape, Window};
use crate::op::{Filter, Layout};

/// Channels summed together, so that a tap's weights and pixels are contiguous runs.
const BLOCK: usize = 8;

/// Scratch bytes in the row-pair layout: the weights of a block of channels and the rows of it that a
/// window covers.
pub const fn scratch(w: &Window, input: Shape) -> usize {
    BLOCK * w.kernel_h * (w.kernel_w + input.w)
}

/// `input [h, w, in_ch]` to `output [oh, ow, out_ch]`; natural weights `[kh][kw][out_ch]`. Output
/// channel o reads input channel o / (out_ch / in_ch). Scratch: see [`scratch_len`](crate::kernels::scratch_len).
///
/// False, with the output unchanged, where a slice is too short or the layout's kernel is not linked.
#[must_use]
pub fn depthwise<O: Operators>(
    f: &Filter<'_>,
    input: &[i8],
    output: &mut [i8],
    scratch: &mut [i8],
) -> bool {
    let fits = input.len() >= f.input.len() && output.len() >= f.output.len();
    if !fits || f.input.c == 0 || f.output.c < f.input.c {
        return false;
    }
    match f.layout {
        Layout::RowPairs(_) if O::SET.has_any(OperatorSet::DEPTHWISE_PAIRS) => {
            row_pairs::<O>(f, &mut Maps::apart(input, output), scratch)
        }
        Layout::Natural if O::SET.has(OperatorSet::DEPTHWISE_NATURAL) => {
            natural(f, input, output);
            true
        }
        _ => false,
    }
}

/// [`depthwise`] on a map that becomes its own output: the row-pair layout, one output a channel,
/// and no more output rows and columns than the input has. False, with the map unchanged, elsewhere.
#[must_use]
pub fn depthwise_in_place<O: Operators>(
    f: &Filter<'_>,
    map: &mut [i8],
    scratch: &mut [i8],
) -> bool {
    let (input, output) = (f.input, f.output);
    let fits = input.c == output.c && output.w <= input.w && output.h <= input.h;
    O::SET.has_any(OperatorSet::DEPTHWISE_PAIRS)
        && map.len() >= input.len()
        && fits
        && input.c > 0
        && row_pairs::<O>(f, &mut Maps::in_place(map), scratch)
}

#[inline(never)]
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

fn row_pairs<O: Operators>(f: &Filter<'_>, maps: &mut Maps<'_>, scratch: &mut [i8]) -> bool {
    // All forms of weights are one here: only a program without any has none of this.
    if !O::SET.has_any(OperatorSet::DEPTHWISE_PAIRS)
        || scratch.len() < self::scratch(&f.window, f.input)
    {
        return false;
    }
    let (Some(pairs), Some((weights, rows))) =
        (f.row_pairs(), scratch.split_at_mut_checked(BLOCK * f.taps))
    else {
        return false;
    };
    for first in (0..f.output.c).step_by(BLOCK) {
        let channels = BLOCK.min(f.output.c - first);
        weights.fill(0);
        for k in 0..channels {
            // One channel's weights, then the next one's: [taps][8].
            pairs.unpack(first + k, BLOCK, weights.get_mut(k..).unwrap_or(&mut []));
        }
        let block = Block {
            f,
            first,
            channels,
            weights,
            multipliers: core::array::from_fn(|k| f.channel(first + k)),
        };
        block.run(maps, rows);
    }
    true
}

/// Eight output channels at most, whose weights are `[taps][8]`.
struct Block<'b> {
    f: &'b Filter<'b>,
    first: usize,
    channels: usize,
    weights: &'b [i8],
    /// Bias and multiplier of each channel.
    multipliers: [(i32, Multiplier); BLOCK],
}

impl Block<'_> {
    /// All pixels. A row of the input is copied to `rows [kernel_h][w][8]` before the output may
    /// take its place.
    ///
    /// No division in the loops over pixels and taps: small cores do them in software.
    fn run(&self, maps: &mut Maps<'_>, rows: &mut [i8]) {
        let f = self.f;
        let (Shape { h, w, c }, out, window) = (f.input, f.output, &f.window);
        let row_len = w * BLOCK;
        // The next image row to copy and its place among the rows; the same of the first row under
        // the window.
        let (mut next, mut next_slot) = (0, 0);
        let (mut top, mut top_slot) = (0, 0);
        for oy in 0..out.h {
            let taps = window.rows(oy, h);
            let end = (oy * window.stride_h + taps.end).saturating_sub(window.pad_top);
            while next < end {
                let input = maps.input().get(next * w * c..).unwrap_or(&[]);
                let to = rows.get_mut(next_slot * row_len..).unwrap_or(&mut []);
                self.copy(input, to.get_mut(..row_len).unwrap_or(&mut []));
                (next, next_slot) = (next + 1, following(next_slot, window.kernel_h));
            }
            let first = (oy * window.stride_h + taps.start).saturating_sub(window.pad_top);
            while top < first {
                (top, top_slot) = (top + 1, following(top_slot, window.kernel_h));
            }
            for ox in 0..out.w {
                let columns = window.columns(ox, w);
                let left = (ox * window.stride_w + columns.start).saturating_sub(window.pad_left);
                let sums = self.sums(rows, top_slot, left, &taps, &columns);
                let at = (oy * out.w + ox) * out.c + self.first;
                let output = maps.output().get_mut(at..at + self.channels);
                let results = sums.into_iter().zip(&self.multipliers);
                for (y, (sum, (_, multiplier))) in output.unwrap_or(&mut []).iter_mut().zip(results)
                {
                    *y = f.out.finish(sum, *multiplier);
                }
            }
        }
    }

    /// The block's channels of an image row, eight values a pixel.
    fn copy(&self, input: &[i8], to: &mut [i8]) {
        let (c, many) = (self.f.input.c, self.f.output.c / self.f.input.c);
        let pixels = input.chunks_exact(c).zip(to.as_chunks_mut::<BLOCK>().0);
        if many == 1 && self.channels == BLOCK {
            for (pixel, to) in pixels {
                if let Some(from) = pixel.get(self.first..).and_then(|p| p.first_chunk()) {
                    *to = *from;
                }
            }
        } else {
            let source: [usize; BLOCK] = core::array::from_fn(|k| (self.first + k) / many);
            for (pixel, to) in pixels {
                for (to, source) in to.iter_mut().zip(source).take(self.channels) {
                    *to = pixel.get(source).copied().unwrap_or(0);
                }
            }
        }
    }

    /// Sums of one output pixel. The kernel's rows `taps` lie in `rows` from `slot` on, its columns
    /// `columns` from pixel `left` on; what lies outside has the input's zero point.
    #[inline(always)]
    fn sums(
        &self,
        rows: &[i8],
        slot: usize,
        left: usize,
        taps: &core::ops::Range<usize>,
        columns: &core::ops::Range<usize>,
    ) -> [i32; BLOCK] {
        let (window, row_len) = (&self.f.window, self.f.input.w * BLOCK);
        let mut sums = self.multipliers.map(|(bias, _)| bias);
        let (mut slot, from, len) = (slot, left * BLOCK, columns.len() * BLOCK);
        let (before, behind) = (columns.start * BLOCK, columns.end * BLOCK);
        let whole = columns.len() == window.kernel_w;
        for (ky, weights) in self
            .weights
            .chunks_exact(window.kernel_w * BLOCK)
            .enumerate()
        {
            if !taps.contains(&ky) {
                self.outside(&mut sums, weights);
                continue;
            }
            let at = slot * row_len + from;
            let x = rows.get(at..at + len).unwrap_or(&[]);
            multiply_add(&mut sums, weights.get(before..).unwrap_or(&[]), x);
            if !whole {
                self.outside(&mut sums, weights.get(..before).unwrap_or(&[]));
                self.outside(&mut sums, weights.get(behind..).unwrap_or(&[]));
            }
            slot = following(slot, window.kernel_h);
        }
        sums
    }

    /// Taps outside the image.
    #[inline(never)]
    fn outside(&self, sums: &mut [i32; BLOCK], weights: &[i8]) {
        for weights in weights.as_chunks::<BLOCK>().0 {
            for (sum, w) in sums.iter_mut().zip(weights) {
                *sum += i32::from(*w) * self.f.input_zero_point;
            }
        }
    }
}

/// The place behind `slot` in a ring.
#[inline(always)]
fn following(slot: usize, ring: usize) -> usize {
    if slot + 1 == ring { 0 } else { slot + 1 }
}

/// Adds the products of `weights` and `x`, both `[taps][8]`, as many as the shorter has.
#[inline(always)]
fn multiply_add(sums: &mut [i32; BLOCK], weights: &[i8], x: &[i8]) {
    // Four sums at a time: more do not fit the registers of a Cortex-M0.
    for (half, sums) in sums.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        let taps = weights.as_chunks::<BLOCK>().0.iter();
        for (w, x) in taps.zip(x.as_chunks::<BLOCK>().0) {
            for (k, sum) in sums.iter_mut().enumerate() {
                *sum += i32::from(w[4 * half + k]) * i32::from(x[4 * half + k]);
            }
        }
    }
}
