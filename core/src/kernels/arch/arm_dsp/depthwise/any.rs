//! Depthwise convolution with any window and stride.
//!
//! Four columns of one channel at a time: per weight word (two rows of one column) one load of
//! weights, four of pair words, four SMLAD: 11 instructions for 8 taps. Pair rows are planar here:
//! four words a column, one a channel, so that columns are 16 bytes apart.
//!
//! A pair row begins at any image row; the ones in use lie in a ring and are made when an output
//! row first needs them.

#[cfg(not(arm_dsp))]
use super::layout::{GROUP, Planar};
#[cfg(not(arm_dsp))]
use super::portable::{dual, smmlar, word};
#[cfg(not(arm_dsp))]
use super::{Layer, Maps, groups};
use crate::op::shape::Window;

/// Columns of a block.
pub(super) const BLOCK: usize = 4;

/// Pair rows of the ring. With an even stride every second row begins a pair.
pub(super) const fn ring(window: &Window) -> usize {
    let rows = window.kernel_h.div_ceil(2);
    if window.stride_h.is_multiple_of(2) {
        rows
    } else {
        2 * rows
    }
}

/// Column pairs of a pair row.
pub(super) const fn column_pairs(window: &Window, out_w: usize) -> usize {
    let columns = (out_w.next_multiple_of(BLOCK) - 1) * window.stride_w + window.kernel_w;
    columns.div_ceil(2)
}

/// Words of scratch: the image row that each place of the ring holds, places of an output row's
/// pair rows, the ring.
pub const fn scratch_words(window: &Window, out_w: usize) -> usize {
    let rows = window.kernel_h.div_ceil(2);
    ring(window) * (1 + 8 * column_pairs(window, out_w)) + rows
}

/// What a block kernel needs besides the slices.
#[cfg(not(arm_dsp))]
#[derive(Clone, Copy, Debug)]
struct Blocks {
    /// Word of the channel in a column.
    channel: usize,
    /// Words from one output column's window to the next one's.
    step: usize,
    /// Columns of the window.
    kernel_w: usize,
    /// Output columns.
    columns: usize,
    /// Bytes between output columns.
    apart: usize,
}

/// Runs a layer whose slices have been checked: the loop of `walker.rs`.
#[cfg(not(arm_dsp))]
pub(super) fn run(layer: &Layer<'_>, maps: &mut Maps<'_>, scratch: &mut [u32]) {
    let window = &layer.window;
    let (rows, ring, pairs) = (
        window.kernel_h.div_ceil(2),
        ring(window),
        column_pairs(window, layer.output.w),
    );
    let (head, pair_rows) = scratch.split_at_mut(ring + rows);
    let (holds, places) = head.split_at_mut(ring);
    let planar = Planar::new(
        layer.input,
        layer.input_zero_point,
        window.pad_left,
        2 * pairs,
    );
    let words = layer.form.words(window);
    let m = layer.multiplier();
    let row_len = layer.output.w * layer.output.c;
    for group in groups(layer.input.c) {
        holds.fill(u32::MAX);
        for y in 0..layer.output.h {
            for (i, place) in places.iter_mut().enumerate() {
                // Image row `first` − pad_top begins the pair.
                let first = y * window.stride_h + 2 * i;
                let slot = if ring == rows {
                    first / 2 % ring
                } else {
                    first % ring
                };
                let at = slot * 8 * pairs;
                *place = at as u32;
                if holds.get(slot) != Some(&(first as u32)) {
                    pair_row(
                        layer,
                        &planar,
                        group.first,
                        first,
                        maps.input(),
                        pair_rows,
                        at,
                    );
                    if let Some(held) = holds.get_mut(slot) {
                        *held = first as u32;
                    }
                }
            }
            for call in 0..group.channels * m {
                let channel = (group.first + group.skip) * m + call;
                let blocks = Blocks {
                    channel: group.skip + call / m,
                    step: GROUP * window.stride_w,
                    kernel_w: window.kernel_w,
                    columns: layer.output.w,
                    apart: layer.output.c,
                };
                let params = layer.params.get(channel * words..(channel + 1) * words);
                let output = maps.output().get_mut(y * row_len + channel..);
                if let (Some(params), Some(output)) = (params, output) {
                    row(&blocks, pair_rows, places, params, output, layer.table);
                }
            }
        }
    }
}

/// Makes the pair row of image rows `first` − pad_top and the one below.
#[cfg(not(arm_dsp))]
fn pair_row(
    layer: &Layer<'_>,
    planar: &Planar,
    channel: usize,
    first: usize,
    input: &[i8],
    pair_rows: &mut [u32],
    at: usize,
) {
    let pad = layer.window.pad_top;
    let row = layer.input.w * layer.input.c;
    let place = |index: usize| {
        let inside = index.checked_sub(pad).filter(|y| *y < layer.input.h);
        inside.map(|y| y * row + channel)
    };
    let rows = (place(first), place(first + 1));
    columns(planar, input, rows, GROUP.min(layer.input.c), pair_rows, at);
}

/// Pair words of `channels` channels of two image rows, or padding in their place; the words of
/// other channels are unchanged.
#[cfg(not(arm_dsp))]
fn columns(
    p: &Planar,
    input: &[i8],
    rows: (Option<usize>, Option<usize>),
    channels: usize,
    to: &mut [u32],
    at: usize,
) {
    for column in 0..p.before + p.inside + p.after {
        let image = column.checked_sub(p.before).filter(|x| *x < p.inside);
        for channel in 0..channels {
            let value = |row: Option<usize>| {
                let place = image
                    .zip(row)
                    .map(|(x, row)| row + x * p.channels + channel);
                let x = place.and_then(|place| input.get(place));
                x.map_or(p.zero_pair, |x| i32::from(*x) as u32) & 0xffff
            };
            if let Some(place) = to.get_mut(at + 4 * column + channel) {
                *place = value(rows.0) | value(rows.1) << 16;
            }
        }
    }
}

/// One output row of one channel.
#[cfg(not(arm_dsp))]
fn row(
    b: &Blocks,
    pair_rows: &[u32],
    places: &[u32],
    params: &[[u8; 4]],
    output: &mut [i8],
    table: Option<&[u8; 256]>,
) {
    let [bias, m, c, e] = [0, 1, 2, 3].map(|i| word(params, i));
    let (weights, e) = (params.get(4..).unwrap_or(&[]), e & 0xff);
    for block in (0..b.columns).step_by(BLOCK) {
        let mut sums = [bias as i32; BLOCK];
        for (row, weights) in places.iter().zip(weights.chunks_exact(b.kernel_w)) {
            for tap in 0..weights.len() {
                let weight = word(weights, tap);
                for (i, sum) in sums.iter_mut().enumerate() {
                    let at = *row as usize + b.channel + (block + i) * b.step + GROUP * tap;
                    *sum += dual(pair_rows.get(at).copied().unwrap_or(0), weight);
                }
            }
        }
        for (i, sum) in sums.into_iter().enumerate().take(b.columns - block) {
            // Without a shift there is one rounding only.
            let away = if e == 0 { 0 } else { sum >> 31 };
            let q = smmlar(sum, m as i32, c as i32 + away) >> e;
            let q = q.clamp(-128, 127) as i8;
            let q = table.map_or(q, |t| t[(i32::from(q) + 128) as usize] as i8);
            if let Some(place) = output.get_mut((block + i) * b.apart) {
                *place = q;
            }
        }
    }
}
