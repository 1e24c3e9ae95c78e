//! Image rows to pair rows: 26 instructions for 16 values.
#![allow(unsafe_code)]

use crate::kernels::m4::depthwise::layout::Expand;
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
    .text
    "#
);

unsafe extern "C" {
    pub(in super::super) fn pupil_m4_dw_expand_64(
        a: *const i8,
        b_less_a: usize,
        to: *mut u32,
        expand: *const Expand,
    );
    pub(in super::super) fn pupil_m4_dw_expand_96(
        a: *const i8,
        b_less_a: usize,
        to: *mut u32,
        expand: *const Expand,
    );
    fn pupil_m4_dw_expand_planar(a: *const i8, b_less_a: usize, to: *mut u32, e: *const Expand);
    pub(in super::super) fn pupil_m4_dw_half(
        first: *mut u16,
        value: u32,
        pairs: usize,
        pitch: usize,
    );
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
