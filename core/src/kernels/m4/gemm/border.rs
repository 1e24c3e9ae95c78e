//! Columns at the border of the image: what lies inside is copied, what lies outside is filled.
//!
//! Registers: r0 from, r1 to, r2 and r3 values, r4–r10 lengths, r11 rows below, r12 count, lr what
//! lies outside: 14.
#![allow(unsafe_code)]

use core::arch::naked_asm;

/// One column at the border of the image.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Border {
    /// Taps above the first row inside the image.
    pub top: usize,
    /// Taps of a row to the left of the image.
    pub before: usize,
    /// Taps of a row inside.
    pub inside: usize,
    /// Taps of a row to the right.
    pub behind: usize,
    /// Rows inside.
    pub rows: usize,
    /// Bytes from the end of a row's inside to the begin of the next.
    pub advance: usize,
    /// Taps below.
    pub bottom: usize,
    /// What lies outside: four int8.
    pub outside: u32,
}

// SAFETY of the assembly: it reads `rows` times `inside` bytes of `from`, the rows `advance` bytes
// apart, and writes four bytes, eight apart, for every two of the border's taps to `to`; `from` at
// any address, `to` at a multiple of 4, all lengths multiples of 4. It keeps r4–r11 and the stack
// as AAPCS demands and calls nothing.
/// Expands a column to every second word at `to`, as the kernel reads them. 7 instructions for four
/// taps inside the image, 4 for four outside.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn expand_border(
    from: *const i8,
    to: *mut u32,
    border: *const Border,
) {
    naked_asm!(
        dsp!(),
        "
    .macro B_OUTSIDE taps
    subs r12, \\taps, #0
    beq 22f
21: subs r12, #4
    str lr, [r1], #8
    str lr, [r1], #8
    bne 21b
22:
    .endm
    push {r4-r11, lr}
    ldm r2, {r4-r10, lr}
    sxtb16 lr, lr
    mov r11, r10
    B_OUTSIDE r4
    cmp r8, #0
    beq 29f
23: B_OUTSIDE r5
    subs r12, r6, #0
    beq 25f
24: ldr r2, [r0], #4
    subs r12, #4
    sxtb16 r3, r2
    sxtb16 r2, r2, ror #8
    str r3, [r1], #8
    str r2, [r1], #8
    bne 24b
25: B_OUTSIDE r7
    add r0, r0, r9
    subs r8, #1
    bne 23b
29: B_OUTSIDE r11
    pop {r4-r11, pc}
    .purgem B_OUTSIDE
        ",
        options(raw)
    )
}

// SAFETY of the assembly: it reads `rows` times `inside` bytes of `from`, the rows `advance` bytes
// apart, and writes one byte for every tap of the border to `to`, at any addresses. It keeps r4–r11
// and the stack as AAPCS demands and calls nothing.
/// Gathers a column's bytes at `to`.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn gather_border(from: *const i8, to: *mut i8, border: *const Border) {
    naked_asm!(
        dsp!(),
        "
    push {r4-r11, lr}
    ldm r2, {r4-r11}
    mov r2, r11
    mov r11, r10
    mov r12, r4
    bl 40f
    cmp r8, #0
    beq 39f
31: mov r12, r5
    bl 40f
    subs r12, r6, #4
    blt 33f
32: ldr r3, [r0], #4
    subs r12, #4
    str r3, [r1], #4
    bge 32b
33: adds r12, #4
    beq 35f
34: ldrb r3, [r0], #1
    subs r12, #1
    strb r3, [r1], #1
    bne 34b
35: mov r12, r7
    bl 40f
    add r0, r0, r9
    subs r8, #1
    bne 31b
39: mov r12, r11
    bl 40f
    pop {r4-r11, pc}
40: subs r12, #4
    blt 42f
    str r2, [r1], #4
    b 40b
42: adds r12, #4
    beq 44f
43: subs r12, #1
    strb r2, [r1], #1
    bne 43b
44: bx lr
        ",
        options(raw)
    )
}
