//! Columns at the left and right border of the image: their taps inside, row by row. What lies outside
//! is filled once for all rows of outputs; see [`Gemm::border`](super::Gemm::border).
//!
//! Two more ways of the input to expanded columns, parts of the kernel in `kernel.rs` as those there:
//! words go straight to the expanded columns, other lengths to the buffer, from where they go on as
//! whole words.
//!
//! Registers: r0, r1 rows of both columns, r2, r3 place and length of column 0's, r4, r5 of column
//! 1's, r6 and r7 bytes from a row to the next in the image and there, r8 rows, r9–r12 temporaries.
//! Seven instructions for four taps in words, six more a row; 15 for a row of nine bytes.
#![allow(unsafe_code)]

use core::arch::global_asm;

/// Taps of a column inside the image.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Inside {
    /// Where the first goes.
    pub to: *mut i8,
    /// Bytes of a row.
    pub len: usize,
}

/// What the parts read; the frame's `destination` points to it.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Border {
    /// Of each column.
    pub columns: [Inside; 2],
    /// Bytes from a row of the image to the next.
    pub pitch: usize,
    /// Bytes from a row's place to the next one's.
    pub run: usize,
    /// Rows inside the image.
    pub rows: usize,
}

unsafe extern "C" {
    pub(super) fn pupil_m4_gemm_border_words();
    pub(super) fn pupil_m4_gemm_border_bytes();
}

// The assembly reads the rows that a `Border` says through r0 and r1, which the kernel has loaded from
// its frame, and writes their places: every second word of the expanded columns, or the buffer.
global_asm!(
    dsp!(),
    "
    .syntax unified
    .macro B_WORDS from, to, len
    mov r9, \\to
    mov r12, \\len
2:  ldr r10, [\\from], #4
    sxtb16 r11, r10
    sxtb16 r10, r10, ror #8
    str r11, [r9], #8
    str r10, [r9], #8
    subs r12, #4
    bne 2b
    subs \\from, \\from, \\len
    adds \\to, \\to, r7
    adds \\from, \\from, r6
    .endm
    @ Words from the end on; the last one may overlap. Fewer than four bytes one by one.
    .macro B_BYTES from, to, len
    subs r12, \\len, #4
    bhs 2f
    adds r12, #3
1:  ldrb r9, [\\from, r12]
    strb r9, [\\to, r12]
    subs r12, #1
    bpl 1b
    b 5f
2:  beq 4f
3:  ldr r9, [\\from, r12]
    str r9, [\\to, r12]
    subs r12, #4
    bhi 3b
4:  ldr r9, [\\from]
    str r9, [\\to]
5:  adds \\from, \\from, r6
    adds \\to, \\to, r7
    .endm

    @ Both columns' taps, row by row.
    .macro B_PART name, taps, next
    .section .text.pupil_m4_gemm_border_\\name, \"ax\", %progbits
    .global pupil_m4_gemm_border_\\name
    .thumb_func
    pupil_m4_gemm_border_\\name:
    ldm r2, {r2-r8}
10: \\taps r0, r2, r3
    \\taps r1, r4, r5
    subs r8, #1
    bne 10b
    b.w \\next
    .endm
    B_PART words, B_WORDS, pupil_m4_gemm_columns
    B_PART bytes, B_BYTES, pupil_m4_gemm_gathered

    .purgem B_WORDS
    .purgem B_BYTES
    .purgem B_PART
    .text
    ",
    options(raw)
);
