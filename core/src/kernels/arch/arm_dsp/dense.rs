//! One column times four output channels at once: the micro-kernel of fully connected layers.
//!
//! The input is expanded to int16 words once, per four values the pairs (0, 2) and (1, 3); then the
//! kernel runs over the stream of [`Pairs`](crate::op::pairs::Pairs), block by block.
//!
//! # Registers
//! Inner loop: r0 x, r1 weights, r2–r5 sums (A0, R0, A2, R2), r6–r9 x words, r10–r12 lr weight
//! words, unpacked in place: all 14. No counter, as in `gemm`: the end of x is compared once per
//! pass of 32 taps, and the first pass is entered where the number of taps demands.
//!
//! # Counts
//! Eight taps are 27 instructions for 32 multiply-accumulates: 3 LDM, 16 SMLAD, 8 SXTB16. A block
//! adds 3, 3 for each pass of 32 taps, 15 where four taps are left over, and for its outputs: ReLU
//! 28, general 35, with table 44. A last block of one or two channels takes 9 instructions for four
//! taps. Expansion: 13 for 16 values.
#![allow(unsafe_code)]

use core::arch::global_asm;

use crate::kernels::arch::operands::Operands;
use crate::kernels::{OperatorSet as Set, Operators};
use crate::op::Filter;
use crate::op::pairs::{BLOCK, Mode, padded};

/// A part of the kernel's code. Nobody but the kernel jumps there.
type Part = unsafe extern "C" fn();

/// The kernel's arguments; it copies them to its own frame on the stack. Offsets are those in the
/// assembly.
#[repr(C)]
struct Frame {
    /// 0: expanded input.
    x: *mut i8,
    /// 4: output.
    out: *mut i8,
    /// 8: end of the expanded input.
    x_end: *const i8,
    /// 12: where the first pass enters.
    entry: usize,
    /// 16: way of the sums to int8.
    mode: Part,
    /// 20: channels of the last block, 0 for four.
    rest: usize,
    /// 24: the fused table.
    table: *const u8,
    /// 28: a block's begin: `entry`, or a four of taps before it.
    begin: usize,
    /// 32: the weights.
    stream: *const u8,
    /// 36: blocks of four channels.
    full: usize,
    /// 40: what follows exact rounding: a table or nothing.
    finish: Part,
}

// The assembly of `expand` reads `len` bytes at `from` and writes two bytes for each of them, zeros up
// to a multiple of four taps, at `to`; both are multiples of 4. That of the kernel reads and writes
// through the frame's pointers only: the expanded input, the blocks of the stream up to the one with
// the flag LAST and, if `rest` is not 0, the one behind it, the table, and four outputs a block, or
// `rest` for the last. Both keep r4–r11 and the stack as AAPCS demands, call nothing, and use no
// other memory. What nobody refers to is not linked: modes have sections of their own.
global_asm!(
    dsp!(),
    "
    .syntax unified
    .macro D_RELU op, a
    ldm r1!, {r10-r12}
    \\op \\a, \\a, r10, r12
    asr \\a, \\a, r11
    .endm
    .macro D_GENERAL a
    ldm r1!, {r10-r12}
    smmlar lr, \\a, r10, r12
    add lr, lr, \\a, asr #31
    asr \\a, lr, r11
    .endm
    .macro D_EXACT
    subs r3, r3, r2
    subs r5, r5, r4
    asrs r3, r3, #7
    asrs r5, r5, #7
    lsls r2, r2, #1
    lsls r4, r4, #1
    D_GENERAL r2
    D_GENERAL r3
    D_GENERAL r4
    D_GENERAL r5
    .endm
    .macro D_PACK
    pkhbt r2, r2, r4, lsl #16
    pkhbt r3, r3, r5, lsl #16
    usat16 r2, #8, r2
    usat16 r3, #8, r3
    orr r2, r2, r3, lsl #8
    eor r2, r2, #0x80808080
    .endm
    .macro D_STORE
    ldm sp, {r0, r10}
    cmp r11, #0x100
    bge.w pupil_m4_dense_last
    str r2, [r10], #4
    str r10, [sp, #4]
    b.w pupil_m4_dense_block
    .endm
    .macro D_FOUR x0, x1
    smlad r3, \\x0, r10, r3
    smlad r5, \\x0, r11, r5
    sxtb16 r10, r10
    sxtb16 r11, r11
    smlad r2, \\x0, r10, r2
    smlad r4, \\x0, r11, r4
    smlad r3, \\x1, r12, r3
    smlad r5, \\x1, lr, r5
    sxtb16 r12, r12
    sxtb16 lr, lr
    smlad r2, \\x1, r12, r2
    smlad r4, \\x1, lr, r4
    .endm
    .macro D_PART name
    .section .text.pupil_m4_dense_\\name, \"ax\", %progbits
    .global pupil_m4_dense_\\name
    .thumb_func
    pupil_m4_dense_\\name:
    .endm

    D_PART expand
    push {r4-r10, lr}
    subs r2, #16
    blo 22f
21: ldm r0!, {r3-r6}
    sxtb16 r7, r3
    sxtb16 r8, r3, ror #8
    sxtb16 r9, r4
    sxtb16 r10, r4, ror #8
    stm r1!, {r7-r10}
    sxtb16 r7, r5
    sxtb16 r8, r5, ror #8
    sxtb16 r9, r6
    sxtb16 r10, r6, ror #8
    stm r1!, {r7-r10}
    subs r2, #16
    bhs 21b
22: adds r2, #16
23: cmp r2, #4
    blo 25f
    ldm r0!, {r3}
    subs r2, #4
24: sxtb16 r7, r3
    sxtb16 r8, r3, ror #8
    strd r7, r8, [r1], #8
    b 23b
25: cbz r2, 27f
    movs r3, #0
26: subs r2, #1
    ldrb r4, [r0, r2]
    orr r3, r4, r3, lsl #8
    bne 26b
    b 24b
27: pop {r4-r10, pc}

    .section .text.pupil_m4_dense, \"ax\", %progbits
    .global pupil_m4_dense
    .thumb_func
    pupil_m4_dense:
    push {r4-r11, lr}
    sub sp, #44
    ldm r0, {r1-r11}
    stm sp, {r1-r11}
    mov r0, r1
    mov r1, r9
    cmp r10, #0
    beq 81f
    .global pupil_m4_dense_block
    .thumb_func
    pupil_m4_dense_block:
10: ldm r1!, {r2-r5}
    ldr pc, [sp, #28]
    .global pupil_m4_dense_four
    .thumb_func
    pupil_m4_dense_four:
    ldm r0!, {r6, r7}
    ldm r1!, {r10-r12, lr}
    D_FOUR r6, r7
    ldr pc, [sp, #12]
    .global pupil_m4_dense_eights
    .thumb_func
    pupil_m4_dense_eights:
20:
    .rept 4
    ldm.w r0!, {r6-r9}
    ldm.w r1!, {r10-r12, lr}
    D_FOUR r6, r7
    ldm.w r1!, {r10-r12, lr}
    D_FOUR r8, r9
    .endr
    ldr r10, [sp, #8]
    cmp r0, r10
    bne 20b
    ldr pc, [sp, #16]

    .global pupil_m4_dense_last
    .thumb_func
    pupil_m4_dense_last:
    ldr r3, [sp, #20]
    tst r11, #0x200
    bne 86f
    str r2, [r10], #4
    str r10, [sp, #4]
    cmp r3, #0
    beq 89f
81: ldr r3, [sp, #20]
    cmp r3, #2
    bgt 10b
    ldm r1!, {r2-r5}
    ldr r7, [sp, #8]
    subs r6, r0, r7
    asrs r6, r6, #3
    and r6, r6, #3
    movs r5, #36
    adr.w r9, 40f
    mla r6, r6, r5, r9
    adds r6, #1
    bx r6
    .balign 4
40:
    .rept 4
    ldm.w r0!, {r8, r9}
    ldr r10, [r1], #8
    ldr r11, [r1], #8
    smlad r3, r8, r10, r3
    sxtb16 r10, r10
    smlad r2, r8, r10, r2
    smlad r3, r9, r11, r3
    sxtb16 r11, r11
    smlad r2, r9, r11, r2
    .endr
    cmp r0, r7
    bne 40b
    ldr pc, [sp, #16]

86: strb r2, [r10], #1
    lsrs r2, r2, #8
    subs r3, #1
    bne 86b
89: add sp, #44
    pop {r4-r11, pc}

    D_PART relu
    subs r3, r3, r2
    subs r5, r5, r4
    lsls r2, r2, #1
    lsls r4, r4, #1
    D_RELU smmlar, r2
    D_RELU smmla, r3
    D_RELU smmlar, r4
    D_RELU smmla, r5
    D_PACK
    D_STORE
    D_PART exact
    D_EXACT
    ldr pc, [sp, #40]
    D_PART general
    D_PACK
    D_STORE
    D_PART table
    ldr r12, [sp, #24]
    .irp a, r2, r3, r4, r5
    usat \\a, #8, \\a
    .endr
    .irp a, r2, r3, r4, r5
    ldrb \\a, [r12, \\a]
    .endr
    orr r2, r2, r3, lsl #8
    orr r2, r2, r4, lsl #16
    orr r2, r2, r5, lsl #24
    D_STORE

    .purgem D_RELU
    .purgem D_GENERAL
    .purgem D_EXACT
    .purgem D_PACK
    .purgem D_STORE
    .purgem D_FOUR
    .purgem D_PART
    .text
    ",
    options(raw)
);

unsafe extern "C" {
    fn pupil_m4_dense_expand(from: *const i8, to: *mut i8, len: usize);
    fn pupil_m4_dense(frame: *const Frame);
    // Parts: a block's begin, and way of the sums to int8.
    fn pupil_m4_dense_four();
    fn pupil_m4_dense_eights();
    fn pupil_m4_dense_relu();
    fn pupil_m4_dense_exact();
    fn pupil_m4_dense_general();
    fn pupil_m4_dense_table();
}

/// The code of a mode, and what follows it; none where they are not linked.
#[inline(always)]
fn mode<O: Operators>(mode: Mode) -> Option<(Part, Part)> {
    let (exact, relu): (Part, Part) = (pupil_m4_dense_exact, pupil_m4_dense_relu);
    let (general, table): (Part, Part) = (pupil_m4_dense_general, pupil_m4_dense_table);
    match mode {
        Mode::General if O::SET.has(Set::DENSE_GENERAL) => Some((exact, general)),
        Mode::Table if O::SET.has(Set::DENSE_TABLE) => Some((exact, table)),
        Mode::Relu | Mode::ReluDoubled if O::SET.has(Set::DENSE_RELU) => Some((relu, relu)),
        _ => None,
    }
}

/// Fully connected layer; see [`crate::kernels::dense`]. False, with nothing written, where the layer's
/// mode is not linked or its input does not begin at a multiple of 4; [`run`](super::run::run) has checked the places.
#[inline(never)]
pub(super) fn dense<O: Operators>(f: &Filter<'_>, places: &mut Operands<'_>) -> bool {
    let Some(weights) = f.pairs() else {
        return false;
    };
    let Some((mode, finish)) = mode::<O>(weights.mode) else {
        return false;
    };
    let (taps, out_ch) = (padded(f.taps), f.output.c);
    let (input, output) = places.maps.places();
    // Read in aligned words whatever its channels.
    if !input.addr().is_multiple_of(4) {
        return false;
    }
    let scratch = &mut places.scratch;
    let x = scratch.as_mut_ptr();
    // Eight taps are 108 bytes of code; what is left of four times eight comes first.
    let eights = taps / 8;
    let first = if eights == 0 {
        4
    } else {
        eights.wrapping_neg() % 4
    };
    let (begin, four): (Part, Part) = (pupil_m4_dense_eights, pupil_m4_dense_four);
    let entry = (begin as usize).wrapping_add(108 * first);
    let frame = Frame {
        x,
        out: output,
        x_end: x.wrapping_add(2 * taps),
        entry,
        mode,
        rest: out_ch % BLOCK,
        table: f.out.lookup.map_or(core::ptr::null(), |t| t.as_ptr()),
        begin: if taps % 8 == 0 { entry } else { four as usize },
        stream: f.weights.as_ptr(),
        full: out_ch / BLOCK,
        finish,
    };
    // SAFETY: the input holds `taps` values and x twice as many bytes, up to a multiple of 4 taps;
    // both begin at multiples of 4.
    unsafe { pupil_m4_dense_expand(input, x, f.taps) };
    // SAFETY: `Pairs::check` has proven the stream's length and flags when the model was parsed, and
    // nobody else makes filters; `output` has `out_ch` bytes, a table follows where the mode is one.
    unsafe { pupil_m4_dense(&raw const frame) }
    true
}
