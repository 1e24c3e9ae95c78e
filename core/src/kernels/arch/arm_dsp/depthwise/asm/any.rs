//! Four columns of one channel, any window; see `any.rs` a folder up.
//!
//! Registers: r0 pair words, r1 weights, r2–r4 one, two and three output columns to the right,
//! r5–r8 sums, r9 weight word, r10–r12 pair words, lr end of the weights of two rows: 14.
#![allow(unsafe_code)]

use core::arch::global_asm;

global_asm!(
    dsp!(),
    r#"
    .syntax unified
    @ r0 -> Frame, r1 channel's words: bias, m, c, e, weights; r2 output, r3 bytes to the channel in
    @ a column. On the stack: 0 next place, 4 bytes to the block's columns, 8 weights, 12 output,
    @ 16 bytes between outputs, 20 places, 24 their end, 28 bytes of weights of two rows, 32 bytes
    @ between output columns' windows, 36 outputs left, 40 table, 44 bias, 48 m, 52 c, 56 e.
    .section .text.pupil_m4_dw_any, "ax", %progbits
    .global pupil_m4_dw_any
    .thumb_func
    pupil_m4_dw_any:
    push   {{r4-r11, lr}}
    ldm    r1!, {{r4-r7}}
    push   {{r4-r7}}
    ldm    r0, {{r4-r10}}
    push   {{r4-r10}}
    push   {{r1, r2}}
    sub    sp, #8
    str    r3, [sp, #4]
    mov    r2, r8
    lsls   r3, r2, #1
    adds   r4, r3, r2
1:  ldr    r5, [sp, #44]
    ldr    r1, [sp, #8]
    ldr    r9, [sp, #20]
    mov    r6, r5
    mov    r7, r5
    mov    r8, r5
2:  ldr    r0, [r9], #4
    ldr    r10, [sp, #4]
    ldr    lr, [sp, #28]
    str    r9, [sp]
    add    r0, r0, r10
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
    ldr    r10, [sp, #24]
    cmp    r9, r10
    bne    2b
    ldrd   r9, r10, [sp, #48]
    ldr    r11, [sp, #56]
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
5:  ldr    r0, [sp, #40]
    ssat   r5, #8, r5
    ssat   r6, #8, r6
    ssat   r7, #8, r7
    ssat   r8, #8, r8
    cbz    r0, 6f
    ldrsb  r5, [r0, r5]
    ldrsb  r6, [r0, r6]
    ldrsb  r7, [r0, r7]
    ldrsb  r8, [r0, r8]
6:  ldrd   r0, r1, [sp, #12]
    ldr    r9, [sp, #36]
    strb   r5, [r0]
    subs   r9, #1
    beq    8f
    strb   r6, [r0, r1]
    subs   r9, #1
    beq    8f
    add    r0, r0, r1, lsl #1
    strb   r7, [r0]
    subs   r9, #1
    beq    8f
    strb   r8, [r0, r1]
    subs   r9, #1
    beq    8f
    add    r0, r0, r1, lsl #1
    ldr    r10, [sp, #4]
    str    r9, [sp, #36]
    str    r0, [sp, #12]
    add    r10, r10, r2, lsl #2
    str    r10, [sp, #4]
    b      1b
8:  add    sp, #60
    pop    {{r4-r11, pc}}
    .text
    "#
);

/// What is the same for all channels of an output row.
#[repr(C)]
#[derive(Debug)]
pub(in super::super) struct AnyFrame {
    /// Bytes between outputs.
    pub apart: usize,
    /// Addresses of the output row's pair rows.
    pub places: *const u32,
    pub places_end: *const u32,
    /// Bytes of weights of two rows.
    pub row_bytes: usize,
    /// Bytes from one output column's window to the next one's.
    pub step: usize,
    /// Output columns.
    pub columns: usize,
    /// Middle of a table of 256 signed indices, or null.
    pub table: *const i8,
}

unsafe extern "C" {
    pub(in super::super) fn pupil_m4_dw_any(
        frame: *const AnyFrame,
        params: *const u32,
        output: *mut i8,
        channel: usize,
    );
}
