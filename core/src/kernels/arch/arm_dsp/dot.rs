//! One input with four rows of natural weights: what layers run by that do not fit the pair layout.
//!
//! # Registers
//! r0 x, r1 weights, r2 bytes to the next row, r3 three times that, r4–r7 sums, r8 r9 x unpacked,
//! r10–r12 weights, lr count: all 14.
//!
//! # Counts
//! Four taps are 26 instructions for 16 multiply-accumulates, each of up to three taps left over 13
//! for 4.
#![allow(unsafe_code)]

use core::arch::naked_asm;

use super::Dsp;
use crate::kernels::arch::portable::dot::{Dot, Plain};

// SAFETY of the assembly: it reads `len` bytes (not 0) at `x` and at each of `w`, `w + stride`,
// `w + 2 stride` and `w + 3 stride`, at any addresses, and writes four words at `sums`. It keeps
// r4–r11 and the stack as AAPCS demands and calls nothing.
#[unsafe(naked)]
unsafe extern "C" fn dot_4(
    x: *const i8,
    w: *const i8,
    stride: usize,
    len: usize,
    sums: *mut [i32; 4],
) {
    naked_asm!(
        dsp!(),
        "
    .macro T_ROW sum, address:vararg
    ldr r10, [\\address]
    sxtb16 r11, r10
    sxtb16 r12, r10, ror #8
    smlad \\sum, r8, r11, \\sum
    smlad \\sum, r9, r12, \\sum
    .endm
    push {r4-r11, lr}
    mov lr, r3
    add r3, r2, r2, lsl #1
    mov r4, #0
    mov r5, #0
    mov r6, #0
    mov r7, #0
    subs lr, #4
    blt 22f
21: ldr r9, [r0], #4
    sxtb16 r8, r9
    sxtb16 r9, r9, ror #8
    T_ROW r4, r1
    T_ROW r5, r1, r2
    T_ROW r6, r1, r2, lsl #1
    T_ROW r7, r1, r3
    add r1, r1, #4
    subs lr, #4
    bge 21b
22: adds lr, #4
    beq 24f
23: ldrsb r8, [r0], #1
    ldrsb r10, [r1]
    ldrsb r11, [r1, r2]
    ldrsb r12, [r1, r2, lsl #1]
    ldrsb r9, [r1, r3]
    mla r4, r8, r10, r4
    mla r5, r8, r11, r5
    mla r6, r8, r12, r6
    mla r7, r8, r9, r7
    add r1, r1, #1
    subs lr, #1
    bne 23b
24: ldr r0, [sp, #36]
    stm r0, {r4-r7}
    pop {r4-r11, pc}
    .purgem T_ROW
        ",
        options(raw)
    )
}

impl Dot for Dsp {
    #[inline(always)]
    fn dot(weights: &[u8], x: &[i8]) -> i32 {
        // A row of its own: no second loop in flash.
        match dot4(weights, 0, x) {
            Some([sum, ..]) => sum,
            None => Plain::dot(weights, x),
        }
    }

    #[inline(always)]
    fn dot4(weights: &[u8], stride: usize, x: &[i8]) -> [i32; 4] {
        // Rows that are cut off come one by one.
        dot4(weights, stride, x).unwrap_or_else(|| {
            [0, 1, 2, 3].map(|k| {
                let row = weights.get(k * stride..k * stride + x.len());
                Self::dot(row.unwrap_or(&[]), x)
            })
        })
    }
}

/// Σ w x of four rows, `stride` bytes apart; none where they are shorter than x.
#[inline(never)]
fn dot4(weights: &[u8], stride: usize, x: &[i8]) -> Option<[i32; 4]> {
    let end = stride.checked_mul(3)?.checked_add(x.len())?;
    let mut sums = [0; 4];
    if end > weights.len() || x.is_empty() {
        return None;
    }
    let weights = weights.as_ptr().cast();
    // SAFETY: x has `len` values, of one byte each as the weights, and so have all four rows.
    unsafe { dot_4(x.as_ptr(), weights, stride, x.len(), &raw mut sums) }
    Some(sums)
}
