//! Image rows to pair rows: 22 instructions for 16 values, planar 13 for 8.
#![allow(unsafe_code)]

use core::arch::global_asm;

global_asm!(
    dsp!(),
    r#"
    .syntax unified

    @ A column of four channels: bytes at r0 and at r0 + r1 become four pair words; r0 goes on. Both
    @ rows' bytes of two channels meet in a word first: then SXTB16 makes a pair word of each channel.
    .macro PDW_COLUMN w0, w1, w2, w3
    ldr    \w2, [r0]
    ldr    \w3, [r0, r1]
    add    r0, r0, r3
    pkhbt  \w0, \w2, \w3, lsl #16
    pkhtb  \w2, \w3, \w2, asr #16
    sxtb16 \w1, \w0, ror #8
    sxtb16 \w0, \w0
    sxtb16 \w3, \w2, ror #8
    sxtb16 \w2, \w2
    .endm

    @ Column pairs of padding (r4), as long as the next of the edges' bits is set.
    .macro PDW_EDGE
9:  strd   r4, r4, [r2]
    strd   r4, r4, [r2, #8]
    strd   r4, r4, [r2, #16]
    strd   r4, r4, [r2, #24]
    uxtah  r2, r2, lr
    lsls   r12, #1
    bcs    9b
    .endm

    @ r0 upper row, r1 lower row less upper row, r2 pair row,
    @ r3 -> channels, zero points, edges, whole pairs (with the pitch in the low half).
    @ r4-r11 eight words of a column pair, r12 edges, r3 channels = 14: the count of whole pairs is
    @ the high half of lr.
    .section .text.pupil_m4_dw_expand, "ax", %progbits
    .global pupil_m4_dw_expand
    .thumb_func
    pupil_m4_dw_expand:
    push   {{r3-r11, lr}}
    ldm    r3, {{r3, r4, r12, lr}}
    lsls   r12, #1
    bcc    2f
    PDW_EDGE
2:  lsls   r12, #1
    bcc    3f
    mov    r6, r4
    mov    r8, r4
    mov    r10, r4
    PDW_COLUMN r5, r7, r9, r11
    stm    r2, {{r4-r11}}
    uxtah  r2, r2, lr
3:  subs   lr, #0x10000
    blo    5f
4:  PDW_COLUMN r4, r6, r8, r10
    PDW_COLUMN r5, r7, r9, r11
    stm    r2, {{r4-r11}}
    uxtah  r2, r2, lr
    subs   lr, #0x10000
    bhs    4b
5:  lsls   r12, #1
    bcc    6f
    PDW_COLUMN r4, r6, r8, r10
    ldr    r5, [sp]
    ldr    r5, [r5, #4]
    mov    r7, r5
    mov    r9, r5
    mov    r11, r5
    stm    r2, {{r4-r11}}
    uxtah  r2, r2, lr
6:  lsls   r12, #1
    bcc    8f
    ldr    r4, [sp]
    ldr    r4, [r4, #4]
    PDW_EDGE
8:  pop    {{r3-r11, pc}}
    .purgem PDW_EDGE

    @ A pair row of padding: r0 zero points, r1 column pairs, r2 pair row, r3 pitch.
    .section .text.pupil_m4_dw_padding, "ax", %progbits
    .global pupil_m4_dw_padding
    .thumb_func
    pupil_m4_dw_padding:
    strd   r0, r0, [r2]
    strd   r0, r0, [r2, #8]
    strd   r0, r0, [r2, #16]
    strd   r0, r0, [r2, #24]
    add    r2, r2, r3
    subs   r1, #1
    bne    pupil_m4_dw_padding
    bx     lr

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

    @ Eight words of every column pair: r0 to, r1 from, r2 column pairs, r3 pitch.
    .section .text.pupil_m4_dw_move, "ax", %progbits
    .global pupil_m4_dw_move
    .thumb_func
    pupil_m4_dw_move:
    push   {{r4-r11, lr}}
1:  ldm    r1, {{r4-r11}}
    stm    r0, {{r4-r11}}
    add    r1, r1, r3
    add    r0, r0, r3
    subs   r2, #1
    bne    1b
    pop    {{r4-r11, pc}}

    @ r0 upper row, r1 lower row less upper row, r2 pair row,
    @ r3 -> channels, zero points, columns: before, in the image, after.
    .section .text.pupil_m4_dw_planar, "ax", %progbits
    .global pupil_m4_dw_planar
    .thumb_func
    pupil_m4_dw_planar:
    push   {{r4-r10, lr}}
    ldm    r3, {{r3, r8, r9, r10, lr}}
1:  subs   r9, #1
    blo    2f
    str    r8, [r2], #4
    str    r8, [r2], #4
    str    r8, [r2], #4
    str    r8, [r2], #4
    b      1b
2:  subs   r10, #1
    blo    3f
    PDW_COLUMN r4, r5, r6, r7
    stm    r2!, {{r4-r7}}
    b      2b
3:  mov    r9, lr
    mov    lr, #0
    mov    r10, #0
    cmp    r9, #0
    bne    1b
    pop    {{r4-r10, pc}}
    .purgem PDW_COLUMN
    .text
    "#
);

/// Makes a pair row: `(upper image row, lower image row less upper image row, pair row, how)`, where
/// `how` is an [`Expand`](crate::kernels::arch::arm_dsp::depthwise::layout::Expand) or, planar, a
/// [`Planar`](crate::kernels::arch::arm_dsp::depthwise::layout::Planar).
pub(in super::super) type MakeRow = unsafe extern "C" fn(*const i8, usize, *mut u32, *const ());

unsafe extern "C" {
    pub(in super::super) fn pupil_m4_dw_expand(
        a: *const i8,
        b_less_a: usize,
        to: *mut u32,
        expand: *const (),
    );
    pub(in super::super) fn pupil_m4_dw_planar(
        a: *const i8,
        b_less_a: usize,
        to: *mut u32,
        planar: *const (),
    );
    pub(in super::super) fn pupil_m4_dw_padding(
        zero: u32,
        pairs: usize,
        to: *mut u32,
        pitch: usize,
    );
    pub(in super::super) fn pupil_m4_dw_half(
        first: *mut u16,
        value: u32,
        pairs: usize,
        pitch: usize,
    );
    pub(in super::super) fn pupil_m4_dw_move(
        to: *mut u32,
        from: *const u32,
        pairs: usize,
        pitch: usize,
    );
}
