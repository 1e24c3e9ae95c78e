//! Depthwise convolution with any window and stride.
//!
//! Four columns of one channel at a time: per weight word (two rows of one column) one load of
//! weights, four of pair words, four SMLAD: 11 instructions for 8 taps. Pair rows are planar here:
//! four words a column, one a channel, so that columns are 16 bytes apart.
//!
//! A pair row begins at any image row; the ones in use lie in a ring and are made when an output
//! row first needs them.

use super::layout::{Expand, GROUP};
use super::{Layer, Maps, groups};
use crate::shape::Window;

/// Columns of a block.
const BLOCK: usize = 4;

/// Pair rows of the ring. With an even stride every second row begins a pair.
const fn ring(window: &Window) -> usize {
    let rows = window.kernel_h.div_ceil(2);
    if window.stride_h.is_multiple_of(2) {
        rows
    } else {
        2 * rows
    }
}

/// Column pairs of a pair row.
const fn column_pairs(window: &Window, out_w: usize) -> usize {
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

/// Runs a layer whose slices have been checked.
pub(super) fn run(layer: &Layer<'_>, maps: &mut Maps<'_>, scratch: &mut [u32]) {
    let window = &layer.window;
    let (rows, ring, pairs) = (
        window.kernel_h.div_ceil(2),
        ring(window),
        column_pairs(window, layer.output.w),
    );
    let (head, pair_rows) = scratch.split_at_mut(ring + rows);
    let (holds, places) = head.split_at_mut(ring);
    let expand = Expand::new(layer.input, layer.input_zero_point, window.pad_left, pairs);
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
                        &expand,
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
                    ops::blocks(&blocks, pair_rows, places, params, output, layer.table);
                }
            }
        }
    }
}

/// Makes the pair row of image rows `first` − pad_top and the one below.
fn pair_row(
    layer: &Layer<'_>,
    expand: &Expand,
    channel: usize,
    first: usize,
    input: &[i8],
    pair_rows: &mut [u32],
    at: usize,
) {
    let pad = layer.window.pad_top;
    let inside = |row: usize| row >= pad && row - pad < layer.input.h;
    let (upper, lower) = (inside(first), inside(first + 1));
    let row = layer.input.w * layer.input.c;
    let place = |index: usize| (index - pad) * row + channel;
    let (a, b) = match (upper, lower) {
        (true, true) => (place(first), place(first + 1)),
        (true, false) => (place(first), place(first)),
        (false, true) => (place(first + 1), place(first + 1)),
        (false, false) => {
            let words = pair_rows.get_mut(at..at + 8 * expand.column_pairs());
            words.unwrap_or(&mut []).fill(expand.zero_pair);
            return;
        }
    };
    if layer.input.c < GROUP {
        twin::columns(expand, input, (a, b), layer.input.c, pair_rows, at);
    } else {
        ops::expand(expand, input, a, b, pair_rows, at);
    }
    if upper != lower {
        let words = pair_rows.get_mut(at..at + 8 * expand.column_pairs());
        let (keep, zero) = if upper {
            (0xffff, expand.zero_pair << 16)
        } else {
            (0xffff_0000, expand.zero_pair & 0xffff)
        };
        for word in words.unwrap_or(&mut []) {
            *word = *word & keep | zero;
        }
    }
}

#[cfg(arm_dsp)]
use self::asm as ops;
#[cfg(not(arm_dsp))]
use self::twin as ops;

mod twin {
    //! The block kernel in plain Rust.

    use super::super::layout::{Expand, GROUP};
    #[cfg(not(arm_dsp))]
    use super::super::twin::{dual, smmlar, word};
    #[cfg(not(arm_dsp))]
    use super::{BLOCK, Blocks};

    #[cfg(not(arm_dsp))]
    pub fn expand(e: &Expand, input: &[i8], upper: usize, lower: usize, to: &mut [u32], at: usize) {
        columns(e, input, (upper, lower), GROUP, to, at);
    }

    /// Pair words of `channels` channels, the words of the others unchanged.
    pub fn columns(
        e: &Expand,
        input: &[i8],
        rows: (usize, usize),
        channels: usize,
        to: &mut [u32],
        at: usize,
    ) {
        let first = 2 * e.before + e.half_before;
        for column in 0..2 * e.column_pairs() {
            let image = column.checked_sub(first).filter(|x| *x < e.columns());
            for channel in 0..channels {
                let value = |row: usize| {
                    let x = image.and_then(|x| input.get(row + x * e.channels + channel));
                    x.map(|x| i32::from(*x) as u32 & 0xffff)
                };
                let word = match (value(rows.0), value(rows.1)) {
                    (Some(a), Some(b)) => a | b << 16,
                    _ => e.zero_pair,
                };
                if let Some(place) = to.get_mut(at + GROUP * column + channel) {
                    *place = word;
                }
            }
        }
    }

    #[cfg(not(arm_dsp))]
    pub fn blocks(
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
}

#[cfg(arm_dsp)]
mod asm {
    //! The block kernel in assembly.
    //!
    //! Registers: r0 pair words, r1 weights, r2–r4 one, two and three output columns to the right,
    //! r5–r8 sums, r9 weight word, r10–r12 pair words, lr end of the weights of two rows: 14.
    #![allow(unsafe_code)]

    use super::{BLOCK, Blocks};
    use core::arch::global_asm;

    pub use super::super::asm::expand_planar as expand;

    global_asm!(
        dsp!(),
        r#"
    .syntax unified
    @ Frame: 0 next place, 4 first word of the block, 8 first word, 12 places, 16 their end,
    @ 20 weights, 24 bytes of weights of two rows, 28 bytes between output columns' windows,
    @ 32 output, 36 bytes between outputs, 40 outputs left, 44 table, 48 bias, 52 m, 56 c, 60 e.
    .section .text.pupil_m4_dw_any, "ax", %progbits
    .global pupil_m4_dw_any
    .thumb_func
    pupil_m4_dw_any:
    push   {{r4-r11, lr}}
    add    r12, r0, #28
    ldm    r12, {{r1-r7}}
    push   {{r1-r7}}
    ldm    r0, {{r1-r7}}
    push   {{r1-r7}}
    sub    sp, #8
    str    r1, [sp, #4]
    mov    r2, r6
    lsl    r3, r2, #1
    add    r4, r3, r2
1:  ldr    r5, [sp, #48]
    ldr    r1, [sp, #20]
    ldr    r9, [sp, #12]
    mov    r6, r5
    mov    r7, r5
    mov    r8, r5
2:  ldr    r0, [r9], #4
    ldr    r10, [sp, #4]
    ldr    lr, [sp, #24]
    str    r9, [sp]
    add    r0, r10, r0, lsl #2
    add    lr, lr, r1
3:  ldr    r9, [r1], #4
    ldr    r10, [r0, r2]
    ldr    r11, [r0, r3]
    ldr    r12, [r0, r4]
    smlad  r6, r10, r9, r6
    ldr    r10, [r0], #16
    smlad  r7, r11, r9, r7
    smlad  r8, r12, r9, r8
    smlad  r5, r10, r9, r5
    cmp    r1, lr
    bne    3b
    ldr    r9, [sp]
    ldr    r10, [sp, #16]
    cmp    r9, r10
    bne    2b
    ldrd   r9, r10, [sp, #52]
    ldr    r11, [sp, #60]
    lsls   r12, r11, #24
    beq    4f
    add    r12, r10, r5, asr #31
    smmlar r5, r5, r9, r12
    add    r12, r10, r6, asr #31
    smmlar r6, r6, r9, r12
    add    r12, r10, r7, asr #31
    smmlar r7, r7, r9, r12
    add    r12, r10, r8, asr #31
    smmlar r8, r8, r9, r12
    asr    r5, r5, r11
    asr    r6, r6, r11
    asr    r7, r7, r11
    asr    r8, r8, r11
    b      5f
4:  smmlar r5, r5, r9, r10
    smmlar r6, r6, r9, r10
    smmlar r7, r7, r9, r10
    smmlar r8, r8, r9, r10
5:  ldr    r0, [sp, #44]
    ssat   r5, #8, r5
    ssat   r6, #8, r6
    ssat   r7, #8, r7
    ssat   r8, #8, r8
    cbz    r0, 6f
    ldrsb  r5, [r0, r5]
    ldrsb  r6, [r0, r6]
    ldrsb  r7, [r0, r7]
    ldrsb  r8, [r0, r8]
6:  ldrd   r0, r1, [sp, #32]
    ldr    r9, [sp, #40]
    subs   r9, r9, #4
    str    r9, [sp, #40]
    blt    7f
    strb   r5, [r0]
    strb   r6, [r0, r1]
    add    r0, r0, r1, lsl #1
    strb   r7, [r0]
    strb   r8, [r0, r1]
    beq    8f
    add    r0, r0, r1, lsl #1
    ldr    r10, [sp, #4]
    str    r0, [sp, #32]
    add    r10, r10, r2, lsl #2
    str    r10, [sp, #4]
    b      1b
7:  strb   r5, [r0]
    adds   r9, r9, #2
    blt    8f
    strb   r6, [r0, r1]
    beq    8f
    add    r0, r0, r1, lsl #1
    strb   r7, [r0]
8:  add    sp, #64
    pop    {{r4-r11, pc}}
    .text
    "#
    );

    #[repr(C)]
    struct Frame {
        first: *const u32,
        places: *const u32,
        places_end: *const u32,
        weights: *const u32,
        row_bytes: usize,
        step: usize,
        output: *mut i8,
        apart: usize,
        columns: usize,
        /// Middle of a table of 256 signed indices, or null.
        table: *const i8,
        bias: u32,
        m: u32,
        c: u32,
        e: u32,
    }

    unsafe extern "C" {
        fn pupil_m4_dw_any(frame: *const Frame);
    }

    /// One output row of one channel. Slices that are too short leave the output unchanged.
    pub fn blocks(
        b: &Blocks,
        pair_rows: &[u32],
        places: &[u32],
        params: &[[u8; 4]],
        output: &mut [i8],
        table: Option<&[u8; 256]>,
    ) {
        let Some((head, weights)) = params.split_first_chunk::<4>() else {
            return;
        };
        let [bias, m, c, e] = head.map(u32::from_le_bytes);
        // The last word that the last block's last column reads, from a pair row's first one.
        let reach = (b.columns.next_multiple_of(BLOCK) - 1) * b.step + 4 * (b.kernel_w - 1) + 4;
        let inside = |at: &u32| *at as usize + reach <= pair_rows.len();
        let fits = b.columns > 0
            && b.channel < 4
            && places.iter().all(inside)
            && weights.len() == places.len() * b.kernel_w
            && !weights.is_empty()
            // LDR takes any address, but the words are whole ones everywhere else, too.
            && weights.as_ptr().addr().is_multiple_of(4)
            && (b.columns - 1) * b.apart < output.len();
        if !fits {
            return;
        }
        let ends = places.as_ptr_range();
        let frame = Frame {
            first: pair_rows.as_ptr().wrapping_add(b.channel),
            places: ends.start,
            places_end: ends.end,
            weights: weights.as_ptr().cast(),
            row_bytes: 4 * b.kernel_w,
            step: 4 * b.step,
            output: output.as_mut_ptr(),
            apart: b.apart,
            columns: b.columns,
            table: table.map_or(core::ptr::null(), |t| {
                t.as_ptr().cast::<i8>().wrapping_add(128)
            }),
            bias,
            m,
            c,
            e,
        };
        // SAFETY: every pair word that is read lies below `place + reach` for one of the places,
        // all checked; `kernel_w` weights are read for each place; `columns` bytes, `apart` from
        // one another, are written, the last one checked. Table indices are saturated to
        // −128..127 around its middle. The callee keeps the C ABI and reads the frame only.
        unsafe { pupil_m4_dw_any(&frame) }
    }
}
