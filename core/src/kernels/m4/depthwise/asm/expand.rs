//! Image rows to pair rows: 26 instructions for 16 values, planar 14 for 8.
#![allow(unsafe_code)]

use core::arch::global_asm;

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

    @ r0 upper row, r1 lower row less upper row, r2 pair row,
    @ r3 -> channels, zero points, pairs: before, whole (with the pitch in the low half), half before,
    @ half after, after.
    @ r4-r11 eight words of a column pair, r12 temporary, r3 channels = 14: the count of whole pairs
    @ is the high half of lr. r3 is 0 once the padding behind the image is all that is left.
    .section .text.pupil_m4_dw_expand, "ax", %progbits
    .global pupil_m4_dw_expand
    .thumb_func
    pupil_m4_dw_expand:
    push   {{r3-r11, lr}}
    ldm    r3, {{r3, r4, r12, lr}}
0:  cmp    r12, #0
    beq    2f
    mov    r5, r4
    mov    r6, r4
    mov    r7, r4
    mov    r8, r4
    mov    r9, r4
    mov    r10, r4
    mov    r11, r4
1:  stm    r2, {{r4-r11}}
    uxtah  r2, r2, lr
    subs   r12, #1
    bne    1b
2:  cmp    r3, #0
    beq    8f
    ldr    r5, [sp]
    ldr    r5, [r5, #16]
    cbz    r5, 3f
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
5:  ldr    r7, [sp]
    ldr    r5, [r7, #4]
    ldr    r11, [r7, #20]
    cmp    r11, #0
    beq    6f
    PDW_COLUMN r4, r6, r8, r10
    mov    r7, r5
    mov    r9, r5
    mov    r11, r5
    stm    r2, {{r4-r11}}
    uxtah  r2, r2, lr
6:  ldr    r3, [sp]
    mov    r4, r5
    ldr    r12, [r3, #24]
    movs   r3, #0
    b      0b
8:  pop    {{r3-r11, pc}}

    @ A pair row of padding: r0 zero points, r1 column pairs, r2 pair row, r3 pitch.
    .global pupil_m4_dw_padding
    .thumb_func
    pupil_m4_dw_padding:
    push   {{r3-r11, lr}}
    mov    r4, r0
    mov    r12, r1
    mov    lr, r3
    movs   r3, #0
    b      0b

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
/// `how` is an [`Expand`](crate::kernels::m4::depthwise::layout::Expand) or, planar, a
/// [`Planar`](crate::kernels::m4::depthwise::layout::Planar).
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
