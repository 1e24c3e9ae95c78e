//! The block kernels of `asm.rs` in plain Rust: the same pair rows, the same parameters, the same
//! order. What runs where the instructions do not exist, and what the packer is tested with.

use super::Maps;
use super::layout::{Expand, FAST_SHIFT, GROUP, Kernel, Run, Steps};

/// Writes `value` to one half (1 the high one) of every word of a pair row.
pub fn half(kernel: Kernel, pairs: usize, scratch: &mut [u32], at: usize, half: usize, value: u16) {
    for pair in 0..pairs {
        let first = at + pair * (kernel.pitch() / 4);
        for word in scratch.get_mut(first..first + 8).unwrap_or(&mut []) {
            let keep = 0xffff_0000u32 >> (16 * half);
            *word = *word & keep | u32::from(value) << (16 * half);
        }
    }
}

/// Expands image rows to a pair row; see `asm.rs`.
pub fn expand(
    kernel: Kernel,
    e: &Expand,
    input: &[i8],
    upper: usize,
    lower: usize,
    scratch: &mut [u32],
    at: usize,
) {
    let fits = upper.max(lower) + e.reach <= input.len()
        && at + (e.column_pairs() - 1) * (kernel.pitch() / 4) + 8 <= scratch.len();
    if fits {
        columns(kernel, e, input, upper, lower, GROUP, scratch, at);
    }
}

/// [`expand`] of fewer than four channels, the words of the others unchanged.
#[allow(clippy::too_many_arguments)] // the rows' places and the pair row's place
pub fn columns(
    kernel: Kernel,
    e: &Expand,
    input: &[i8],
    upper: usize,
    lower: usize,
    channels: usize,
    scratch: &mut [u32],
    at: usize,
) {
    let first = 2 * e.before + e.half_before;
    for column in 0..2 * e.column_pairs() {
        let group = at + column / 2 * (kernel.pitch() / 4) + column % 2;
        let image = column.checked_sub(first).filter(|x| *x < e.columns());
        for channel in 0..channels {
            let value = |row: usize| {
                let x = image.and_then(|x| input.get(row + x * e.channels + channel));
                x.map(|x| i32::from(*x) as u32 & 0xffff)
            };
            let word = match (value(upper), value(lower)) {
                (Some(a), Some(b)) => a | b << 16,
                _ => e.zero_pair,
            };
            if let Some(place) = scratch.get_mut(group + 2 * channel) {
                *place = word;
            }
        }
    }
}

/// Runs the blocks of one step; see `asm.rs`.
pub fn blocks(
    kernel: Kernel,
    run: &Run,
    scratch: &[u32],
    at: usize,
    params: &[u32],
    out: &mut [i8],
    table: Option<&[u8; 256]>,
) {
    let fits = run.blocks > 0
        && at + run.words(kernel) <= scratch.len()
        && params.len() == run.channels * kernel.words()
        && run.reach() <= out.len();
    if !fits {
        return;
    }
    for (channel, params) in params.chunks_exact(kernel.words()).enumerate() {
        for block in 0..run.blocks {
            // Row `row` of the step, column `column` of the block.
            let pair = |row: usize, column: usize| {
                let column = 2 * block * kernel.stride() + column;
                let word = column / 2 * kernel.pitch() / 4 + 8 * row + 2 * channel + column % 2;
                scratch.get(at + word).copied().unwrap_or(0)
            };
            let sums = sums(kernel, params, pair);
            let first = channel + 2 * block * run.column;
            // The first one last: a step of 0 leaves what belongs there.
            for (row, column) in [(1, 1), (1, 0), (0, 1), (0, 0)] {
                let q = finish(kernel, params, sums[2 * row + column]);
                let place = first + row * run.row + column * run.column;
                out[place] = table.map_or(q, |t| t[(i32::from(q) + 128) as usize] as i8);
            }
        }
    }
}

/// Runs several steps, new pair rows included; see [`Steps`].
pub fn steps(
    kernel: Kernel,
    e: &Expand,
    s: &Steps,
    maps: &mut Maps<'_>,
    scratch: &mut [u32],
    params: &[u32],
    table: Option<&[u8; 256]>,
) {
    let (input, output) = (maps.input().len(), maps.output().len());
    if !s.fit(kernel, e, input, scratch.len(), params.len(), output) {
        return;
    }
    let mut upper = s.upper;
    for step in 0..s.count {
        for i in kernel.live() - kernel.advance()..kernel.live() {
            let at = s.pair_row(kernel, step, i);
            expand(
                kernel,
                e,
                maps.input(),
                upper,
                upper + s.image_row,
                scratch,
                at,
            );
            upper += 2 * s.image_row;
        }
        let at = s.pair_row(kernel, step, 0) + 2 * s.skip;
        let out = &mut maps.output()[s.out + 2 * step * s.run.row..];
        blocks(kernel, &s.run, scratch, at, params, out, table);
        if s.odd {
            let (run, words, bytes) = s.last_column(kernel);
            blocks(
                kernel,
                &run,
                scratch,
                at + words,
                params,
                &mut out[bytes..],
                table,
            );
        }
    }
}

/// The sums of two rows by two columns: (0, 0), (0, 1), (1, 0), (1, 1).
fn sums(kernel: Kernel, params: &[u32], pair: impl Fn(usize, usize) -> u32) -> [i32; 4] {
    let mut sums = [params[0] as i32; 4];
    let w = |i: usize| params[kernel.head() + i];
    for x in 0..2 {
        let (upper, lower) = (x, 2 + x);
        for tap in 0..kernel.side() {
            let column = x * kernel.stride() + tap;
            let rows = [0, 1, 2].map(|row| {
                if row < kernel.live() {
                    pair(row, column)
                } else {
                    0
                }
            });
            match kernel {
                Kernel::K3S1 { .. } => {
                    let (top, low) = (w(tap), w(3 + tap));
                    sums[upper] += dual(rows[0], top) + low_half(rows[1]) * high_half(low);
                    sums[lower] += high_half(rows[0]) * low_half(top) + dual(rows[1], low);
                }
                Kernel::K3S2 { .. } => {
                    let last = w(3 + tap / 2);
                    let last = if tap == 1 {
                        high_half(last)
                    } else {
                        low_half(last)
                    };
                    sums[upper] += dual(rows[0], w(tap)) + low_half(rows[1]) * last;
                    sums[lower] += dual(rows[1], w(tap)) + low_half(rows[2]) * last;
                }
                Kernel::K5S1 { .. } => {
                    let (top, low) = (w(tap), w(15 + tap));
                    let (mid, mid_lower) = (w(5 + 2 * tap), w(6 + 2 * tap));
                    sums[upper] += dual(rows[0], top)
                        + dual(rows[1], mid)
                        + low_half(rows[2]) * high_half(low);
                    sums[lower] += high_half(rows[0]) * low_half(top)
                        + dual(rows[1], mid_lower)
                        + dual(rows[2], low);
                }
            }
        }
    }
    sums
}

fn finish(kernel: Kernel, params: &[u32], sum: i32) -> i8 {
    let [m, c] = [params[1] as i32, params[2] as i32];
    let q = if kernel.fast() {
        smmla(sum, m, c) >> FAST_SHIFT
    } else {
        smmlar(sum, m, c + (sum >> 31)) >> params[3]
    };
    q.clamp(-128, 127) as i8
}

/// SMMLA: (c 2^32 + a b) / 2^32, floor.
pub fn smmla(a: i32, b: i32, c: i32) -> i32 {
    (((i64::from(c) << 32) + i64::from(a) * i64::from(b)) >> 32) as i32
}

/// SMMLAR: (c 2^32 + a b) / 2^32, to the nearest, ties up.
pub fn smmlar(a: i32, b: i32, c: i32) -> i32 {
    (((i64::from(c) << 32) + i64::from(a) * i64::from(b) + (1 << 31)) >> 32) as i32
}

/// The low half, signed.
pub fn low_half(word: u32) -> i32 {
    i32::from(word as i16)
}

/// The high half, signed.
pub fn high_half(word: u32) -> i32 {
    i32::from((word >> 16) as i16)
}

/// SMLAD without its addend.
pub fn dual(a: u32, b: u32) -> i32 {
    low_half(a) * low_half(b) + high_half(a) * high_half(b)
}
