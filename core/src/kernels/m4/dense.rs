//! One column times four output channels at once: the micro-kernel of fully connected layers.
//!
//! The input is expanded to int16 words once, per four values the pairs (0, 2) and (1, 3); then the
//! kernel runs over the stream of [`Pairs`], block by block.
//!
//! # Registers
//! Inner loop: r0 x, r1 weights, r2–r5 sums (A0, R0, A2, R2), r6–r9 x words, r10–r12 lr weight
//! words, unpacked in place: all 14. No counter, as in `gemm`: the end of x is compared once per
//! pass of 64 taps, and the first pass is entered where the number of taps demands.
//!
//! # Counts
//! Eight taps are 27 instructions for 32 multiply-accumulates: 3 LDM, 16 SMLAD, 8 SXTB16. A block
//! adds 4, 3 for each pass of 64 taps, 15 where four taps are left over, and for its outputs: ReLU
//! 29, general 35, with table 44. A last block of one or two channels takes 9 instructions for four
//! taps. Expansion: 13 for 16 values.
#![allow(unsafe_code)]

use core::arch::naked_asm;

use super::gemm::{is_aligned, is_sound};
use crate::kernels::Filter;
use crate::kernels::pairs::{BLOCK, Mode, padded};

/// The kernel's arguments; it copies them to its own frame on the stack. Offsets are those in the
/// assembly.
#[repr(C)]
struct Frame {
    /// 0: expanded input.
    x: *mut u32,
    /// 4: output.
    out: *mut i8,
    /// 8: end of the expanded input.
    x_end: *const u32,
    /// 12: whole eights of taps; the kernel keeps its entry address here.
    eights: usize,
    /// 16: index of the mode; the kernel keeps the address of its code here.
    mode: usize,
    /// 20: channels of the last block, 0 for four.
    rest: usize,
    /// 24: the fused table.
    table: *const u8,
    /// 28: 1 where a four of taps is left over; the kernel keeps a block's begin here.
    four: usize,
    /// 32: the weights.
    stream: *const u8,
    /// 36: whether blocks of four channels come first.
    full: usize,
}

/// Expands words of four int8 to two words of int16 pairs.
// SAFETY of the assembly: it reads 4 · `words` bytes at `from` and writes 8 · `words` at `to`, both
// multiples of 4; it keeps r4–r11 and the stack as AAPCS demands and calls nothing.
#[unsafe(naked)]
unsafe extern "C" fn expand(from: *const i8, to: *mut u32, words: usize) {
    naked_asm!(
        dsp!(),
        "
    push {r4-r10, lr}
    subs r2, #4
    blt 22f
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
    subs r2, #4
    bge 21b
22: adds r2, #4
    beq 24f
23: ldr r3, [r0], #4
    sxtb16 r7, r3
    sxtb16 r8, r3, ror #8
    strd r7, r8, [r1], #8
    subs r2, #1
    bne 23b
24: pop {r4-r10, pc}
        ",
        options(raw)
    )
}

/// See the module's documentation.
// SAFETY of the assembly: it reads and writes through the frame's pointers only: the expanded
// input, the blocks of the stream up to the one with the flag LAST and, if `rest` is not 0, the one
// behind it, the table, and four outputs a block, or `rest` for the last. It keeps r4–r11 and the
// stack as AAPCS demands, calls nothing, and uses no other memory than its frame.
#[unsafe(naked)]
unsafe extern "C" fn dense_1x4(frame: *const Frame) {
    naked_asm!(
        dsp!(),
        "
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
    sub r3, r3, r2
    sub r5, r5, r4
    asr r3, r3, #7
    asr r5, r5, #7
    lsl r2, r2, #1
    lsl r4, r4, #1
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
    ldr r10, [sp, #4]
    cmp r11, #0x200
    bge 85f
    str r2, [r10], #4
    cmp r11, #0x100
    str r10, [sp, #4]
    blt 10b
    b 80f
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

    push {r4-r11, lr}
    sub sp, #44
    ldm r0, {r1-r10}
    adr.w r12, 90f
    ldr r5, [r12, r5, lsl #2]
    add r5, r5, r12
    adr.w r12, 20f
    rsbs r11, r4, #0
    and r11, r11, #7
    it eq
    moveq r11, #8
    mov lr, #108
    mla r4, r11, lr, r12
    orr r4, r4, #1
    cmp r8, #0
    ite eq
    moveq r8, r4
    adrne r8, 15f
    orr r8, r8, #1
    stm sp, {r1-r10}
    mov r1, r9
    cmp r10, #0
    beq.w 81f

10: ldr r0, [sp]
    ldm r1!, {r2-r5}
    ldr pc, [sp, #28]
    .balign 4
90: .word 30f - 90b + 1
    .word 31f - 90b + 1
    .word 32f - 90b + 1
    .balign 4
15: ldm r0!, {r6, r7}
    ldm r1!, {r10-r12, lr}
    D_FOUR r6, r7
    ldr pc, [sp, #12]
    .balign 4
20:
    .rept 8
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

30: sub r3, r3, r2
    sub r5, r5, r4
    lsl r2, r2, #1
    lsl r4, r4, #1
    D_RELU smmlar, r2
    D_RELU smmla, r3
    D_RELU smmlar, r4
    D_RELU smmla, r5
    D_PACK
    D_STORE
31: D_EXACT
    D_PACK
    D_STORE
32: D_EXACT
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

80: ldr r3, [sp, #20]
    cmp r3, #0
    beq 89f
81: ldr r3, [sp, #20]
    cmp r3, #2
    bgt 10b
    ldr r0, [sp]
    ldm r1!, {r2-r5}
    ldr r7, [sp, #8]
    sub r6, r7, r0
    lsr r6, r6, #3
    rsb r6, r6, #0
    and r6, r6, #3
    mov r8, #36
    adr.w r9, 40f
    mla r6, r6, r8, r9
    orr r6, r6, #1
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

85: ldr r3, [sp, #20]
86: strb r2, [r10], #1
    lsr r2, r2, #8
    subs r3, #1
    bne 86b
89: add sp, #44
    pop {r4-r11, pc}

    .purgem D_RELU
    .purgem D_GENERAL
    .purgem D_EXACT
    .purgem D_PACK
    .purgem D_STORE
    .purgem D_FOUR
        ",
        options(raw)
    )
}

/// Fully connected layer; see [`crate::kernels::dense`]. False where weights or scratch memory are
/// not the kernel's.
pub fn dense(f: &Filter<'_>, input: &[i8], output: &mut [i8], scratch: &mut [i8]) -> bool {
    let Some(weights) = f.pairs() else {
        return false;
    };
    let (taps, out_ch) = (padded(weights.taps), weights.out_ch);
    let (Some(input), Some(x)) = (input.get(..weights.taps), scratch.get_mut(..2 * taps)) else {
        return false;
    };
    let table = f.out.lookup;
    let fits = is_sound(&weights)
        && weights.mode != Mode::ReluDoubled
        && table.is_some() == (weights.mode == Mode::Table)
        && is_aligned(x)
        && is_aligned(input)
        && output.len() >= out_ch;
    if !fits {
        return false;
    }
    let whole = weights.taps / 4;
    // SAFETY: the input holds `whole` words and x twice as many; both begin at multiples of 4.
    unsafe { expand(input.as_ptr(), x.as_mut_ptr().cast(), whole) };
    let rest = input.get(4 * whole..).unwrap_or(&[]);
    if !rest.is_empty() {
        let four: [i8; 4] = core::array::from_fn(|i| rest.get(i).copied().unwrap_or(0));
        let (halves, _) = x.as_chunks_mut::<2>();
        for (half, i) in halves.iter_mut().skip(4 * whole).zip([0, 2, 1, 3]) {
            *half = i16::from(four[i]).to_le_bytes().map(|b| b as i8);
        }
    }
    let frame = Frame {
        x: x.as_mut_ptr().cast(),
        out: output.as_mut_ptr(),
        x_end: x.as_ptr().wrapping_add(2 * taps).cast(),
        eights: taps / 8,
        mode: match weights.mode {
            Mode::Relu | Mode::ReluDoubled => 0,
            Mode::General => 1,
            Mode::Table => 2,
        },
        rest: out_ch % BLOCK,
        table: table.map_or(core::ptr::null(), |t| t.as_ptr()),
        four: taps / 4 % 2,
        stream: weights.bytes().as_ptr(),
        full: out_ch / BLOCK,
    };
    // SAFETY: `is_sound` has proven the stream's length and flags for `taps` and `out_ch`; x holds
    // `taps` int16, a multiple of 4, and begins at a multiple of 4; `output` has `out_ch` bytes.
    unsafe { dense_1x4(&raw const frame) }
    true
}
