//! Depthwise micro-kernels for the Arm DSP extension (Cortex-M4, M7).
//!
//! Data are *pair words*: one column of two image rows, the upper row's value in the low half,
//! the lower row's in the high half, both sign-extended. SMLAD multiplies both by two weights of
//! one column and adds: two taps an instruction. `twin.rs` is the same in plain Rust.
//!
//! # Layout of pair rows
//! Two columns of four channels are 8 words (32 bytes): channel 0 left, channel 0 right, channel
//! 1 left, … The pair rows that one step reads are interleaved: column pair j of row i of the
//! step lies at byte `pitch * j + 32 * i`, so that every load of a block has an immediate offset
//! from one pointer.
//!
//! # Registers of a block: two rows by two columns of one channel
//! | kernel | r0 | r1 | r2–r7 | r8–r11 | r12, lr |
//! |---|---|---|---|---|---|
//! | 3x3 stride 1 | pair rows | output | 6 weight words | sums | two columns |
//! | 3x3 stride 2 | pair rows | output | 5 weight words, fifth column | sums | two columns |
//! | 5x5 stride 1 | pair rows | output | r2 weight pointer, 5 of 20 words | sums | two columns |
//!
//! All 14 registers are in use; bias, multiplier, steps and ends are in the frame on the stack.
//!
//! # Way of a sum to an int8
//! *Fast*, where the output's zero point is its lower clamp of −128: ties away from zero and ties
//! up differ on negative numbers only, which saturate. Both roundings are then one floor:
//! floor(a m / 2^(31+e) + 2^(−1−e) + 1/2). The packer multiplies weights and bias by 2^(13−e), so
//! that SMMLA with c = 2^11 + 2^(11−e) + z 2^12 and SSAT with a shift of 12 do all of it.
//!
//! *Away*: weights and bias doubled, SMMLAR with c = 2^(e−1) + z 2^e, less one where the sum is
//! negative, a shift by e, SSAT, and the table if there is one. r1 is a temporary here, the output
//! pointer waits in the frame.
#![allow(unsafe_code)]

use super::layout::{Expand, GROUP, Run};
use super::{Maps, twin};
use crate::kernels::row_pairs::Kernel;
use core::arch::global_asm;
use core::marker::PhantomData;

global_asm!(
    dsp!(),
    r#"
    .syntax unified

    @ A column of four channels: bytes at r0 and at r0 + r1 become four pair words; r0 goes on.
    .macro PDW_COLUMN w0, w1, w2, w3
    ldr    \w2, [r0]
    ldr    \w3, [r0, r1]
    add    r0, r0, r3
    sxtb16 \w0, \w2
    sxtb16 \w1, \w3
    sxtb16 r12, \w2, ror #8
    sxtb16 \w3, \w3, ror #8
    pkhtb  \w2, \w1, \w0, asr #16
    pkhbt  \w0, \w0, \w1, lsl #16
    pkhbt  \w1, r12, \w3, lsl #16
    pkhtb  \w3, \w3, r12, asr #16
    .endm

    .macro PDW_PADDING value, a, b, c, d
    mov    \a, \value
    mov    \b, \value
    mov    \c, \value
    mov    \d, \value
    .endm

    @ r0 upper row, r1 lower row less upper row, r2 pair row,
    @ r3 -> channels, zero points, pairs: before, whole, half before, half after, after.
    @ r4-r11 eight words of a column pair, r12 temporary, lr count, r3 channels = 14.
    .macro PDW_EXPAND name, pitch, planar
    .section .text.\name, "ax", %progbits
    .global \name
    .thumb_func
    \name:
    push   {{r3-r11, lr}}
    ldm    r3, {{r3, r4, r12, lr}}
    cmp    r12, #0
    beq    2f
    PDW_PADDING r4, r5, r6, r7, r8
    PDW_PADDING r4, r9, r10, r11, r11
1:  stm    r2, {{r4-r11}}
    add    r2, r2, #\pitch
    subs   r12, #1
    bne    1b
2:  ldr    r5, [sp]
    ldr    r5, [r5, #16]
    cbz    r5, 3f
    .if \planar
    PDW_PADDING r4, r5, r6, r7, r7
    PDW_COLUMN r8, r9, r10, r11
    .else
    PDW_PADDING r4, r6, r8, r10, r10
    PDW_COLUMN r5, r7, r9, r11
    .endif
    stm    r2, {{r4-r11}}
    add    r2, r2, #\pitch
3:  cmp    lr, #0
    beq    5f
4:  .if \planar
    PDW_COLUMN r4, r5, r6, r7
    PDW_COLUMN r8, r9, r10, r11
    stm    r2!, {{r4-r11}}
    .else
    PDW_COLUMN r4, r6, r8, r10
    PDW_COLUMN r5, r7, r9, r11
    stm    r2, {{r4-r11}}
    add    r2, r2, #\pitch
    .endif
    subs   lr, #1
    bne    4b
5:  ldr    r12, [sp]
    ldr    lr, [r12, #4]
    ldrd   r4, r5, [r12, #20]
    cbz    r4, 6f
    str    r5, [sp]
    .if \planar
    PDW_COLUMN r4, r5, r6, r7
    PDW_PADDING lr, r8, r9, r10, r11
    .else
    PDW_COLUMN r4, r6, r8, r10
    PDW_PADDING lr, r5, r7, r9, r11
    .endif
    stm    r2, {{r4-r11}}
    add    r2, r2, #\pitch
    ldr    r5, [sp]
6:  cbz    r5, 8f
    mov    r12, r5
    PDW_PADDING lr, r4, r5, r6, r7
    PDW_PADDING lr, r8, r9, r10, r11
7:  stm    r2, {{r4-r11}}
    add    r2, r2, #\pitch
    subs   r12, #1
    bne    7b
8:  pop    {{r3-r11, pc}}
    .endm

    @ One half of every word of a pair row: r0 first half, r1 value, r2 column pairs, r3 pitch.
    .section .text.pupil_m4_dw_half, "ax", %progbits
    .global pupil_m4_dw_half
    .thumb_func
    pupil_m4_dw_half:
    strh   r1, [r0]
    strh   r1, [r0, #4]
    strh   r1, [r0, #8]
    strh   r1, [r0, #12]
    strh   r1, [r0, #16]
    strh   r1, [r0, #20]
    strh   r1, [r0, #24]
    strh   r1, [r0, #28]
    add    r0, r0, r3
    subs   r2, #1
    bne    pupil_m4_dw_half
    bx     lr

    PDW_EXPAND pupil_m4_dw_expand_64, 64, 0
    PDW_EXPAND pupil_m4_dw_expand_96, 96, 0
    PDW_EXPAND pupil_m4_dw_expand_planar, 32, 1

    @ Frame: 0 bias, 4 m, 8 c, 12 e, 16 output, 20 weights, 24 parameters, 28 their end,
    @ 32 column step, 36 row step, 40 end of the pair rows, 44 and 48 what a channel goes back by
    @ in pair rows and output, 52 table.
    .macro PDW_ENTER name
    .section .text.\name, "ax", %progbits
    .global \name
    .thumb_func
    \name:
    push   {{r4-r11, lr}}
    ldm.w  r0, {{r0-r9}}
    push   {{r2-r9}}
    sub    sp, #24
    mov    r12, r2
    .endm

    .macro PDW_CHANNEL fast
    .if \fast
    ldm    r12!, {{r8-r10}}
    stm    sp, {{r8-r10}}
    .else
    ldm    r12!, {{r8-r11}}
    stm    sp, {{r8-r11}}
    str    r1, [sp, #16]
    .endif
    .endm

    .macro PDW_NEXT again
    ldrd   r12, r8, [sp, #24]
    ldrd   r10, r11, [sp, #44]
    sub    r0, r0, r10
    sub    r1, r1, r11
    cmp    r12, r8
    bne    \again
    add    sp, #56
    pop    {{r4-r11, pc}}
    .endm

    .macro PDW_AWAY sum
    add    r1, lr, \sum, asr #31
    smmlar \sum, \sum, r12, r1
    .endm

    @ Sums r8 r9 (upper row) r10 r11 (lower row) to int8 in memory; the first one last, so that a
    @ step of 0 leaves what belongs there.
    .macro PDW_FINISH fast, again
    ldrd   r12, lr, [sp, #4]
    .if \fast
    smmla  r8, r8, r12, lr
    smmla  r9, r9, r12, lr
    smmla  r10, r10, r12, lr
    smmla  r11, r11, r12, lr
    ldrd   r12, lr, [sp, #32]
    ssat   r8, #8, r8, asr #12
    ssat   r9, #8, r9, asr #12
    ssat   r10, #8, r10, asr #12
    ssat   r11, #8, r11, asr #12
    .else
    PDW_AWAY r8
    PDW_AWAY r9
    PDW_AWAY r10
    PDW_AWAY r11
    ldr    r12, [sp, #12]
    ldr    r1, [sp, #52]
    asr    r8, r8, r12
    asr    r9, r9, r12
    asr    r10, r10, r12
    asr    r11, r11, r12
    ssat   r8, #8, r8
    ssat   r9, #8, r9
    ssat   r10, #8, r10
    ssat   r11, #8, r11
    cbz    r1, 8f
    ldrsb  r8, [r1, r8]
    ldrsb  r9, [r1, r9]
    ldrsb  r10, [r1, r10]
    ldrsb  r11, [r1, r11]
8:  ldr    r1, [sp, #16]
    ldrd   r12, lr, [sp, #32]
    .endif
    add    lr, lr, r1
    strb   r11, [lr, r12]
    strb   r10, [lr]
    strb   r9, [r1, r12]
    strb   r8, [r1]
    add    r1, r1, r12, lsl #1
    .if \fast == 0
    str    r1, [sp, #16]
    .endif
    ldr    r12, [sp, #40]
    cmp    r0, r12
    blo    \again
    .endm

    @ Taps of the window's first rows: w = (w0, w1), p = (row 0, row 1) of the upper outputs.
    .macro PDW_TOP p, w, upper, lower
    smlad  \upper, \p, \w, \upper
    smlatb \lower, \p, \w, \lower
    .endm
    @ Taps of the last rows: w = (last but one, last).
    .macro PDW_LOW p, w, upper, lower
    smlabt \upper, \p, \w, \upper
    smlad  \lower, \p, \w, \lower
    .endm
    .macro PDW_MID p, w, v, upper, lower
    smlad  \upper, \p, \w, \upper
    smlad  \lower, \p, \v, \lower
    .endm
    @ The first column's taps; the bias in r8 starts all four sums. Columns in r12, lr.
    .macro PDW_FIRST w
    smlad  r9, lr, \w, r8
    smlatb r11, lr, \w, r8
    smlatb r10, r12, \w, r8
    smlad  r8, r12, \w, r8
    .endm

    @ Weights: (w0, w1) of three columns, (w1, w2) of three columns. 24 for 36 taps.
    .macro PDW_3X3S1 name, fast
    PDW_ENTER \name
1:  PDW_CHANNEL \fast
    ldm    r12!, {{r2-r7}}
    str    r12, [sp, #24]
2:  ldrd   r12, lr, [r0], #64
    ldr    r8, [sp]
    PDW_FIRST r2
    PDW_TOP lr, r3, r8, r10
    ldrd   r12, lr, [r0]
    PDW_TOP r12, r4, r8, r10
    PDW_TOP r12, r3, r9, r11
    PDW_TOP lr, r4, r9, r11
    ldrd   r12, lr, [r0, #-32]
    PDW_LOW r12, r5, r8, r10
    PDW_LOW lr, r6, r8, r10
    PDW_LOW lr, r5, r9, r11
    ldrd   r12, lr, [r0, #32]
    PDW_LOW r12, r7, r8, r10
    PDW_LOW r12, r6, r9, r11
    PDW_LOW lr, r7, r9, r11
    PDW_FINISH \fast, 2b
    PDW_NEXT 1b
    .endm

    @ Weights: (w0, w1) of three columns, w2 of columns 0 and 1, w2 of column 2. 24 for 36 taps.
    .macro PDW_3X3S2 name, fast
    PDW_ENTER \name
1:  PDW_CHANNEL \fast
    ldm    r12!, {{r2-r6}}
    str    r12, [sp, #24]
2:  ldrd   r12, lr, [r0], #192
    ldr    r10, [sp]
    smlad  r8, r12, r2, r10
    smlad  r8, lr, r3, r8
    ldrd   r12, lr, [r0, #-96]
    ldr    r7, [r0]
    smlad  r8, r12, r4, r8
    smlad  r9, r12, r2, r10
    smlad  r9, lr, r3, r9
    smlad  r9, r7, r4, r9
    ldrd   r12, lr, [r0, #-64]
    ldr    r7, [r0, #32]
    smlabb r8, r12, r6, r8
    smlabb r9, r12, r5, r9
    smlabt r9, lr, r5, r9
    smlabb r9, r7, r6, r9
    smlad  r11, r12, r2, r10
    smlad  r11, lr, r3, r11
    smlad  r11, r7, r4, r11
    smlad  r10, r12, r4, r10
    ldrd   r12, lr, [r0, #-160]
    smlabb r8, r12, r5, r8
    smlabt r8, lr, r5, r8
    smlad  r10, r12, r2, r10
    smlad  r10, lr, r3, r10
    ldrd   r12, lr, [r0, #-128]
    smlabb r10, r12, r5, r10
    smlabt r10, lr, r5, r10
    ldrd   r12, lr, [r0, #-32]
    ldr    r7, [r0, #64]
    smlabb r10, r12, r6, r10
    smlabb r11, r12, r5, r11
    smlabt r11, lr, r5, r11
    smlabb r11, r7, r6, r11
    PDW_FINISH \fast, 2b
    PDW_NEXT 1b
    .endm

    @ Weights: (w0, w1) of five columns; (w2, w3) and (w1, w2) of each column; (w3, w4) of five.
    @ 60 for 100 taps.
    .macro PDW_5X5S1 name, fast
    PDW_ENTER \name
1:  PDW_CHANNEL \fast
    str    r12, [sp, #20]
    add    r12, r12, #80
    str    r12, [sp, #24]
2:  ldr    r2, [sp, #20]
    ldr    r8, [sp]
    ldm    r2!, {{r3-r7}}
    ldrd   r12, lr, [r0], #96
    PDW_FIRST r3
    PDW_TOP lr, r4, r8, r10
    ldrd   r12, lr, [r0]
    PDW_TOP r12, r5, r8, r10
    PDW_TOP r12, r4, r9, r11
    PDW_TOP lr, r6, r8, r10
    PDW_TOP lr, r5, r9, r11
    ldrd   r12, lr, [r0, #96]
    PDW_TOP r12, r7, r8, r10
    PDW_TOP r12, r6, r9, r11
    PDW_TOP lr, r7, r9, r11
    ldm    r2!, {{r3-r6}}
    ldrd   r12, lr, [r0, #-64]
    PDW_MID r12, r3, r4, r8, r10
    PDW_MID lr, r5, r6, r8, r10
    PDW_MID lr, r3, r4, r9, r11
    ldrd   r12, lr, [r0, #32]
    ldrd   r3, r4, [r2], #8
    PDW_MID r12, r5, r6, r9, r11
    ldrd   r5, r6, [r2], #8
    PDW_MID r12, r3, r4, r8, r10
    PDW_MID lr, r5, r6, r8, r10
    PDW_MID lr, r3, r4, r9, r11
    ldrd   r12, lr, [r0, #128]
    ldrd   r3, r4, [r2], #8
    PDW_MID r12, r5, r6, r9, r11
    PDW_MID r12, r3, r4, r8, r10
    PDW_MID lr, r3, r4, r9, r11
    ldm    r2!, {{r3-r7}}
    ldrd   r12, lr, [r0, #-32]
    PDW_LOW r12, r3, r8, r10
    PDW_LOW lr, r4, r8, r10
    PDW_LOW lr, r3, r9, r11
    ldrd   r12, lr, [r0, #64]
    PDW_LOW r12, r5, r8, r10
    PDW_LOW r12, r4, r9, r11
    PDW_LOW lr, r6, r8, r10
    PDW_LOW lr, r5, r9, r11
    ldrd   r12, lr, [r0, #160]
    PDW_LOW r12, r7, r8, r10
    PDW_LOW r12, r6, r9, r11
    PDW_LOW lr, r7, r9, r11
    PDW_FINISH \fast, 2b
    PDW_NEXT 1b
    .endm

    PDW_3X3S1 pupil_m4_dw3x3s1_fast, 1
    PDW_3X3S1 pupil_m4_dw3x3s1, 0
    PDW_3X3S2 pupil_m4_dw3x3s2_fast, 1
    PDW_3X3S2 pupil_m4_dw3x3s2, 0
    PDW_5X5S1 pupil_m4_dw5x5s1_fast, 1
    PDW_5X5S1 pupil_m4_dw5x5s1, 0
    .text
    "#
);

/// What the block kernels read first.
#[repr(C)]
#[derive(Debug)]
struct Frame {
    src: *const u32,
    out: *mut i8,
    params: *const u32,
    params_end: *const u32,
    column: usize,
    row: usize,
    end: *const u32,
    src_back: usize,
    out_back: usize,
    /// Middle of a table of 256 signed indices, or null.
    table: *const i8,
}

unsafe extern "C" {
    fn pupil_m4_dw_expand_64(a: *const i8, b_less_a: usize, to: *mut u32, expand: *const Expand);
    fn pupil_m4_dw_expand_96(a: *const i8, b_less_a: usize, to: *mut u32, expand: *const Expand);
    fn pupil_m4_dw_expand_planar(a: *const i8, b_less_a: usize, to: *mut u32, e: *const Expand);
    fn pupil_m4_dw_half(first: *mut u16, value: u32, pairs: usize, pitch: usize);
    fn pupil_m4_dw3x3s1_fast(frame: *const Frame);
    fn pupil_m4_dw3x3s1(frame: *const Frame);
    fn pupil_m4_dw3x3s2_fast(frame: *const Frame);
    fn pupil_m4_dw3x3s2(frame: *const Frame);
    fn pupil_m4_dw5x5s1_fast(frame: *const Frame);
    fn pupil_m4_dw5x5s1(frame: *const Frame);
}

/// Two image rows of four channels, at `upper` and `lower` of `input`, to a pair row in the planar
/// layout of `any.rs`: four words a column, column pairs side by side.
#[inline(always)]
pub fn expand_planar(
    e: &Expand,
    input: &[i8],
    upper: usize,
    lower: usize,
    scratch: &mut [u32],
    at: usize,
) {
    let fits =
        upper.max(lower) + e.reach <= input.len() && at + 8 * e.column_pairs() <= scratch.len();
    if !fits {
        return;
    }
    let a = input.as_ptr().wrapping_add(upper);
    let to = scratch.as_mut_ptr().wrapping_add(at);
    // SAFETY: each row reads 4 bytes at `e.columns()` pixels, `reach` bytes, checked to lie in
    // `input`; 8 words a column pair are written, one after the other, checked to lie in
    // `scratch`. The callee keeps the C ABI.
    unsafe { pupil_m4_dw_expand_planar(a, lower.wrapping_sub(upper), to, e) }
}

/// What the micro-kernels work on: the maps and the scratch as pointers, with the greatest offset
/// from which each kernel stays inside.
#[derive(Debug)]
pub struct Walker<'w, 'm> {
    kernel: Kernel,
    expand: &'w Expand,
    /// A pair row of padding.
    padding: Expand,
    image_row: usize,
    input: *const i8,
    output: *mut i8,
    scratch: *mut u32,
    /// Greatest bytes where an image row's four channels may begin, if there is any.
    last_row: Option<usize>,
    /// Greatest word where a pair row may begin, and where a step's pair rows may.
    last_pair_row: Option<usize>,
    last_step: Option<usize>,
    /// Output bytes, and what a step of one channel reaches: both rows, one row.
    output_len: usize,
    reach: [usize; 2],
    entry: unsafe extern "C" fn(*const Frame),
    expand_to: unsafe extern "C" fn(*const i8, usize, *mut u32, *const Expand),
    frames: [Frame; 2],
    blocks: [usize; 2],
    /// Words and bytes from the first block to the single last column's block.
    further: (usize, usize),
    channels: usize,
    life: PhantomData<(&'w mut Maps<'m>, &'w mut [u32])>,
}

impl<'w, 'm> Walker<'w, 'm> {
    /// On these maps, with pair rows as `expand` says.
    pub fn new(
        kernel: Kernel,
        expand: &'w Expand,
        image_row: usize,
        runs: [Run; 2],
        maps: &'w mut Maps<'m>,
        scratch: &'w mut [u32],
        table: Option<&'w [u8; 256]>,
    ) -> Self {
        let (input_len, output_len) = (maps.input().len(), maps.output().len());
        let (input, output) = match maps {
            Maps::Apart(input, output) => (input.as_ptr(), output.as_mut_ptr()),
            Maps::InPlace(map) => {
                let map = map.as_mut_ptr();
                (map.cast_const(), map)
            }
        };
        let pairs = expand.column_pairs();
        let pair_row = pairs.saturating_sub(1) * (kernel.pitch() / 4) + 8;
        let columns = 2 * runs[0].blocks + runs[1].blocks;
        let step = pair_row + 8 * (kernel.live() - 1);
        let enough = pairs > 0 && pairs >= kernel.column_pairs(columns);
        let one_row = columns.saturating_sub(1) * runs[0].column;
        let table = table.map_or(core::ptr::null(), |t| {
            t.as_ptr().cast::<i8>().wrapping_add(128)
        });
        Self {
            kernel,
            expand,
            padding: Expand {
                before: pairs,
                whole: 0,
                half_before: 0,
                half_after: 0,
                after: 0,
                ..*expand
            },
            image_row,
            input,
            output,
            scratch: scratch.as_mut_ptr(),
            last_row: input_len.checked_sub(expand.reach),
            last_pair_row: scratch.len().checked_sub(pair_row),
            last_step: scratch.len().checked_sub(step).filter(|_| enough),
            output_len,
            reach: [one_row, one_row + runs[0].row],
            entry: entry(kernel),
            expand_to: if kernel.pitch() == 64 {
                pupil_m4_dw_expand_64
            } else {
                pupil_m4_dw_expand_96
            },
            frames: runs.map(|run| Frame::new(kernel, &run, table)),
            blocks: runs.map(|run| run.blocks),
            further: (
                runs[0].blocks * kernel.block_bytes() / 4,
                2 * runs[0].blocks * runs[0].column,
            ),
            channels: 0,
            life: PhantomData,
        }
    }

    /// The channels that the next steps compute, by their parameters: four at most.
    #[inline(always)]
    pub fn channels(&mut self, params: &'w [[u8; 4]]) {
        let words = self.kernel.words();
        self.channels = params.len() / words;
        let first = params.as_ptr().cast::<u32>();
        if !first.is_aligned() {
            // LDM wants whole words.
            self.channels = 0;
        }
        for frame in &mut self.frames {
            frame.params = first;
            frame.params_end = first.wrapping_add(self.channels * words);
        }
    }

    /// Makes the pair row at word `at` of the image row at byte `upper` and the one below.
    #[inline(always)]
    pub fn whole_row(&mut self, upper: usize, at: usize) {
        self.rows(upper, self.image_row, at);
    }

    /// Makes the pair row at word `at` of one image row and padding in half `padding` (1 the
    /// high one).
    #[inline(never)]
    pub fn half_row(&mut self, row: usize, padding: usize, at: usize) {
        self.rows(row, 0, at);
        if self.last_pair_row.is_none_or(|last| at > last) || padding > 1 {
            return;
        }
        let half = self
            .scratch
            .wrapping_add(at)
            .cast::<u16>()
            .wrapping_add(padding);
        let (pairs, pitch) = (self.expand.column_pairs(), self.kernel.pitch());
        // SAFETY: one half of 8 words in each of `pairs` groups, `pitch` bytes apart, from word
        // `at` on, inside the scratch by `last_pair_row`. Cores with these instructions are
        // little-endian here.
        unsafe { pupil_m4_dw_half(half, self.expand.zero_pair & 0xffff, pairs, pitch) }
    }

    /// Makes the pair row at word `at` of padding.
    #[inline(never)]
    pub fn no_row(&mut self, at: usize) {
        if self.last_pair_row.is_none_or(|last| at > last) {
            return;
        }
        let to = self.scratch.wrapping_add(at);
        // SAFETY: 8 words in each of `column_pairs` groups are written from word `at` on, inside
        // the scratch by `last_pair_row`; no image column is read.
        unsafe { (self.expand_to)(self.input, 0, to, &self.padding) }
    }

    #[inline(always)]
    fn rows(&mut self, upper: usize, apart: usize, at: usize) {
        let fits = self.last_row.is_some_and(|last| upper + apart <= last)
            && self.last_pair_row.is_some_and(|last| at <= last);
        if !fits {
            return;
        }
        if self.expand.channels < GROUP {
            return self.narrow(upper, upper + apart, at);
        }
        let (a, to) = (
            self.input.wrapping_add(upper),
            self.scratch.wrapping_add(at),
        );
        // SAFETY: each row reads 4 bytes at `columns` pixels, `channels` apart: `reach` bytes,
        // inside the input by `last_row`. 8 words in each of `column_pairs` groups, `pitch` bytes
        // apart, are written from word `at` on, inside the scratch by `last_pair_row`.
        unsafe { (self.expand_to)(a, apart, to, self.expand) }
    }

    /// Fewer channels than a word has.
    #[inline(never)]
    fn narrow(&mut self, upper: usize, lower: usize, at: usize) {
        let (Some(row), Some(pair_row)) = (self.last_row, self.last_pair_row) else {
            return;
        };
        let e = self.expand;
        let words = e.column_pairs().saturating_sub(1) * (self.kernel.pitch() / 4) + 8;
        // SAFETY: the lengths are those of the slices of `new`, which are borrowed for 'w; no
        // other reference to them lives during this call.
        let (input, scratch) = unsafe {
            (
                core::slice::from_raw_parts(self.input, row + e.reach),
                core::slice::from_raw_parts_mut(self.scratch, pair_row + words),
            )
        };
        twin::columns(self.kernel, e, input, upper, lower, e.channels, scratch, at);
    }

    /// Copies the pair rows that the next step reads from word `base` to the start.
    #[inline(never)]
    pub fn move_back(&mut self, base: usize) {
        let (pitch, words) = (
            self.kernel.pitch() / 4,
            8 * (self.kernel.live() - self.kernel.advance()),
        );
        let ahead = 8 * self.kernel.advance();
        if self.last_step.is_none_or(|last| base > last + ahead) {
            return;
        }
        for pair in 0..self.expand.column_pairs() {
            let from = self.scratch.wrapping_add(base + pair * pitch);
            // SAFETY: the rows of the next step that exist: they lie inside by `last_step`, which
            // counts all rows of a step, and `ahead`, those that are still missing. From 0 they
            // lie before that.
            unsafe {
                self.scratch
                    .wrapping_add(pair * pitch)
                    .copy_from(from, words)
            }
        }
    }

    /// Several steps of four-channel pair rows, `advance` new ones each: of the image rows from byte
    /// `upper` on, to words from `new` on; then [`blocks`](Self::blocks) of both output rows.
    pub fn steps(&mut self, count: usize, upper: usize, new: usize, at: usize, out: usize) {
        let Some(more) = count.checked_sub(1) else {
            return;
        };
        let advance = self.kernel.advance();
        let out_step = 2 * (self.reach[1] - self.reach[0]);
        let lowest = upper + (2 * count * advance - 1) * self.image_row;
        let last_pair_row = new + 8 * (count * advance - 1);
        let last_at = at + 8 * advance * more + 2 * self.channels;
        let last_out = out + out_step * more + self.reach[1] + self.channels;
        let fits = self.last_row.is_some_and(|last| lowest <= last)
            && self.last_pair_row.is_some_and(|last| last_pair_row <= last)
            && self.last_step.is_some_and(|last| last_at <= last + 8)
            && last_out <= self.output_len
            && self.channels > 0
            && self.expand.channels >= GROUP;
        if !fits {
            return;
        }
        let (expand, image_row) = (self.expand, self.image_row);
        let mut upper = self.input.wrapping_add(upper);
        let mut new = self.scratch.wrapping_add(new);
        let (src, to) = (self.scratch.wrapping_add(at), self.output.wrapping_add(out));
        self.place(src, to, out_step / 2);
        for _ in 0..count {
            for _ in 0..advance {
                // SAFETY: as in `rows`; the last step's rows are checked, earlier ones lie before.
                unsafe { (self.expand_to)(upper, image_row, new, expand) }
                upper = upper.wrapping_add(2 * image_row);
                new = new.wrapping_add(8);
            }
            for (frame, blocks) in self.frames.iter_mut().zip(self.blocks) {
                if blocks > 0 {
                    // SAFETY: as in `blocks`; the last step is checked, earlier ones lie before.
                    unsafe { (self.entry)(frame) }
                    frame.src = frame.src.wrapping_add(8 * advance);
                    frame.end = frame.end.wrapping_add(8 * advance);
                    frame.out = frame.out.wrapping_add(out_step);
                }
            }
        }
    }

    /// Where the blocks of the next step lie.
    #[inline(always)]
    fn place(&mut self, mut src: *const u32, mut out: *mut i8, row: usize) {
        for (frame, blocks) in self.frames.iter_mut().zip(self.blocks) {
            frame.src = src;
            frame.end = src.wrapping_byte_add(blocks * self.kernel.block_bytes());
            frame.out = out;
            frame.row = row;
            src = src.wrapping_add(self.further.0);
            out = out.wrapping_add(self.further.1);
        }
    }

    /// Computes two output rows (one unless `both`) of all channels: pair rows from word `at` on,
    /// two words a channel; outputs from byte `out` on.
    #[inline(always)]
    pub fn blocks(&mut self, at: usize, out: usize, both: bool) {
        let reach = self.reach[usize::from(both)] + self.channels;
        // The last channel's words end 8 words into the pair row.
        let fits = self
            .last_step
            .is_some_and(|last| at + 2 * self.channels <= last + 8)
            && out + reach <= self.output_len
            && self.channels > 0;
        if !fits {
            return;
        }
        let (src, to) = (self.scratch.wrapping_add(at), self.output.wrapping_add(out));
        let row = if both {
            self.reach[1] - self.reach[0]
        } else {
            0
        };
        self.place(src, to, row);
        for (frame, blocks) in self.frames.iter().zip(self.blocks) {
            if blocks > 0 {
                // SAFETY: the blocks read the pair rows of a step, inside the scratch by
                // `last_step`, and write `reach` bytes from `out` on, inside the output. The
                // parameters are whole channels. Table indices are saturated to −128..127 around
                // its middle. Input and output may be one map: it is only reached through these
                // pointers while the walker lives.
                unsafe { (self.entry)(frame) }
            }
        }
    }
}

impl Frame {
    fn new(kernel: Kernel, run: &Run, table: *const i8) -> Self {
        let advance = run.blocks * kernel.block_bytes();
        Self {
            src: core::ptr::null(),
            out: core::ptr::null_mut(),
            params: core::ptr::null(),
            params_end: core::ptr::null(),
            column: run.column,
            row: run.row,
            // A channel's words are 8 bytes apart: channel 3 begins 24 bytes in, less than a block.
            end: core::ptr::null(),
            src_back: advance.wrapping_sub(8),
            out_back: (2 * run.blocks * run.column).wrapping_sub(1),
            table,
        }
    }
}

#[inline(always)]
fn entry(kernel: Kernel) -> unsafe extern "C" fn(*const Frame) {
    match kernel {
        Kernel::K3S1 { fast: true } => pupil_m4_dw3x3s1_fast,
        Kernel::K3S1 { fast: false } => pupil_m4_dw3x3s1,
        Kernel::K3S2 { fast: true } => pupil_m4_dw3x3s2_fast,
        Kernel::K3S2 { fast: false } => pupil_m4_dw3x3s2,
        Kernel::K5S1 { fast: true } => pupil_m4_dw5x5s1_fast,
        Kernel::K5S1 { fast: false } => pupil_m4_dw5x5s1,
    }
}
