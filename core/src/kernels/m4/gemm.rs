//! Two columns times four output channels at once: the micro-kernel of every convolution.
//!
//! A column is the input bytes under one output pixel. For each pair of columns the kernel expands
//! their int8 to int16 into scratch memory, interleaved: per four taps the words (0, 2) of column
//! 0, of column 1, then (1, 3) of both. Then it runs over the stream of [`Pairs`], block by block.
//!
//! # Registers
//! Inner loop: r0 x, r1 weights, r2–r5 column 0 (A0, R0, A2, R2), r6–r9 column 1, r10 r11 x words,
//! r12 lr weight words, unpacked in place: all 14. No counter: the end of x is compared once per
//! pass of 16 steps, and the first pass is entered where the number of steps demands. The first
//! step of a block is apart, because it brings the biases in. Everything else is in the frame.
//!
//! # Counts
//! A step is 12 instructions for 16 multiply-accumulates: 2 LDRD, 8 SMLAD, 2 SXTB16. A block adds
//! 3, and 3 for each pass of 16 steps, and for its 8 outputs: ReLU 46, 42 with doubled inputs,
//! general 58, with table 69. Expansion: 24 for 16 taps of both columns (40 doubled) where rows
//! are aligned words, 10 for 4 taps at any address, 62 for 3x3 windows of three channels. A pair of
//! columns adds 20, and each further row 9.
#![allow(unsafe_code)]

use core::arch::naked_asm;

use crate::kernels::pairs::{BLOCK, Mode, Pairs, padded, stream_len};

/// The kernel's arguments; it copies them to its own frame on the stack. Offsets are those in the
/// assembly.
#[repr(C)]
struct Frame {
    /// 0: expanded columns.
    x: *mut u32,
    /// 4, 8: where the columns' outputs begin. The next pair's follow column 1's.
    out: [*mut i8; 2],
    /// 12: end of the expanded columns.
    x_end: *const u32,
    /// 16: the weights.
    stream: *const u8,
    /// 20: output channels.
    out_ch: usize,
    /// 24: end of column 1's outputs of a row's last pair.
    line_end: *mut i8,
    /// 28: channels of the last block, 0 for four.
    rest: usize,
    /// 32: first row of the next pair's column 0.
    input: *const i8,
    /// 36: bytes from column 0 to column 1.
    column_step: usize,
    /// 40: where expansion (or gathering) of the first row begins.
    destination: *mut u8,
    /// 44: bytes of a row.
    run: usize,
    /// 48: bytes from the end of a row to the beginning of the next.
    row_advance: usize,
    /// 52: bytes from a pair to the next.
    pair_step: usize,
    /// 56: where expansion (or gathering) of the last row ends.
    destination_end: *mut u8,
    /// 60: the fused table.
    table: *const u8,
    /// 64: gathered bytes of both columns.
    buffer: *mut u8,
    /// 68: steps of two taps; the kernel keeps its entry address here.
    steps: usize,
    /// 72: index of the mode; the kernel keeps the address of its code here.
    mode: usize,
    /// 76: index of the expansion; as above.
    expand: usize,
    /// 80: rows of outputs.
    lines: usize,
    /// 84: bytes from a row's outputs to the next row's.
    line_step: usize,
    /// 88: bytes from the end of a row's columns to the next row's first.
    line_input: usize,
    /// 92: bytes from the end of a row's outputs to the next row's first.
    line_output: usize,
    /// 96: bytes from column 0's output to column 1's, at the begin of a row.
    line_column: usize,
}

/// Ways from the input to expanded columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
enum Expand {
    /// Rows are multiples of 8 bytes at multiples of 4.
    Eights = 0,
    /// The same; every value is doubled.
    EightsDoubled = 1,
    /// Words at any address. Rows are multiples of 4 bytes; a single row may be of any length, and
    /// up to 3 bytes behind it are read.
    Words = 2,
    /// Rows of any length at any address, gathered first.
    Bytes = 3,
    /// Three rows of 9 bytes: 3x3 windows of three channels.
    ThreeByThree = 4,
    /// The columns are expanded already.
    Nothing = 5,
}

// SAFETY of the assembly: it reads and writes through the frame's pointers only, as far as the
// checks of `Gemm::run` allow: the input's rows, the scratch memory, the blocks of the stream up to
// the one with the flag LAST and, if `rest` is not 0, the one behind it, and the columns' outputs.
// It keeps r4–r11 and the stack as AAPCS demands, calls nothing, and uses no other memory than its
// frame below the stack pointer.
/// See the module's documentation.
#[unsafe(naked)]
unsafe extern "C" fn gemm_2x4(frame: *const Frame) {
    naked_asm!(
        dsp!(),
        "
    .macro G_FOUR a, b, double
    sxtb16 r12, \\a, ror #8
    sxtb16 lr, \\b, ror #8
    sxtb16 \\a, \\a
    sxtb16 \\b, \\b
    .if \\double
    sadd16 r12, r12, r12
    sadd16 lr, lr, lr
    sadd16 \\a, \\a, \\a
    sadd16 \\b, \\b, \\b
    .endif
    stm r2!, {\\a, \\b, r12, lr}
    .endm
    .macro G_EIGHTS double
44: tst r3, #8
    beq 41f
    ldm r0!, {r4, r5}
    ldm r1!, {r8, r9}
    G_FOUR r4, r8, \\double
    G_FOUR r5, r9, \\double
    subs r3, #8
    beq 42f
41: ldm r0!, {r4-r7}
    ldm r1!, {r8-r11}
    G_FOUR r4, r8, \\double
    G_FOUR r5, r9, \\double
    G_FOUR r6, r10, \\double
    G_FOUR r7, r11, \\double
    subs r3, #16
    bne 41b
42: ldr r12, [sp, #56]
    cmp r2, r12
    beq 15f
    ldrd r3, r12, [sp, #44]
    add r0, r0, r12
    add r1, r1, r12
    b 44b
    .endm
    .macro G_RELU op, a, b
    ldm r1!, {r10-r12}
    \\op \\a, \\a, r10, r12
    \\op \\b, \\b, r10, r12
    asr \\a, \\a, r11
    asr \\b, \\b, r11
    .endm
    .macro G_GENERAL a, b
    ldm r1!, {r10-r12}
    smmlar lr, \\a, r10, r12
    add lr, lr, \\a, asr #31
    asr \\a, lr, r11
    smmlar lr, \\b, r10, r12
    add lr, lr, \\b, asr #31
    asr \\b, lr, r11
    .endm
    .macro G_EXACT
    .irp a, r3, r5, r7, r9
    asr \\a, \\a, #7
    .endr
    .irp a, r2, r4, r6, r8
    lsl \\a, \\a, #1
    .endr
    G_GENERAL r2, r6
    G_GENERAL r3, r7
    G_GENERAL r4, r8
    G_GENERAL r5, r9
    .endm
    .macro G_SPLIT
    sub r3, r3, r2
    sub r5, r5, r4
    sub r7, r7, r6
    sub r9, r9, r8
    .endm
    .macro G_PACK
    pkhbt r2, r2, r4, lsl #16
    pkhbt r3, r3, r5, lsl #16
    pkhbt r6, r6, r8, lsl #16
    pkhbt r7, r7, r9, lsl #16
    usat16 r2, #8, r2
    usat16 r3, #8, r3
    usat16 r6, #8, r6
    usat16 r7, #8, r7
    orr r2, r2, r3, lsl #8
    orr r6, r6, r7, lsl #8
    eor r2, r2, #0x80808080
    eor r6, r6, #0x80808080
    .endm
    .macro G_STORE
    ldm sp, {r0, r10, lr}
    str r2, [r10], #4
    str r6, [lr], #4
    strd r10, lr, [sp, #4]
    cmp r11, #0x100
    blt 16b
    .endm

    push {r4-r11, lr}
    sub sp, #116
    ldm r0!, {r1-r10}
    stm sp, {r1-r10}
    ldm r0!, {r1-r10}
    rsb r8, r8, #1
    and r8, r8, #15
    mov r11, #48
    adr.w r12, 20f
    mla r8, r8, r11, r12
    orr r8, r8, #1
    adr.w r12, 90f
    ldr r9, [r12, r9, lsl #2]
    add r10, r10, #4
    add r9, r9, r12
    ldr r10, [r12, r10, lsl #2]
    add r10, r10, r12
    add r12, sp, #40
    stm r12!, {r1-r10}
    ldm r0, {r1-r5}
    stm r12, {r1-r5}

10: add r12, sp, #32
    ldm r12, {r0-r5}
    add r5, r5, r0
    add r1, r1, r0
    str r5, [r12]
    ldr pc, [sp, #76]

    .balign 4
90: .word 30f - 90b + 1
    .word 31f - 90b + 1
    .word 32f - 90b + 1
    .word 33f - 90b + 1
    .word 40f - 90b + 1
    .word 43f - 90b + 1
    .word 50f - 90b + 1
    .word 70f - 90b + 1
    .word 45f - 90b + 1
    .word 15f - 90b + 1

70: mov r12, r4
    ldr r5, [sp, #12]
    ldr r6, [sp]
    mov r4, r2
    sub r5, r5, r6
    lsr r5, r5, #2
    add r6, r4, r5
    ldr lr, [sp, #56]
71: subs r3, #4
    blt 73f
72: ldr r7, [r0], #4
    ldr r8, [r1], #4
    subs r3, #4
    str r7, [r4], #4
    str r8, [r6], #4
    bge 72b
73: adds r3, #4
    beq 75f
74: ldrb r7, [r0], #1
    ldrb r8, [r1], #1
    subs r3, #1
    strb r7, [r4], #1
    strb r8, [r6], #1
    bne 74b
75: cmp r4, lr
    beq 76f
    add r0, r0, r12
    add r1, r1, r12
    ldr r3, [sp, #44]
    b 71b
76: ldr r0, [sp, #64]
    ldr r2, [sp]
    add r1, r0, r5
    mov r3, r5
51: ldr r4, [r0], #4
    ldr r8, [r1], #4
    G_FOUR r4, r8, 0
    subs r3, #4
    bgt 51b
    b 15f

50: ldr r4, [r0], #4
    ldr r8, [r1], #4
    G_FOUR r4, r8, 0
    subs r3, #4
    bgt 50b
    ldr r12, [sp, #56]
    cmp r2, r12
    beq 15f
    ldrd r3, r12, [sp, #44]
    add r0, r0, r12
    add r1, r1, r12
    b 50b

45: add r10, r4, #9
    ldr r4, [r0]
    ldr r8, [r1]
    G_FOUR r4, r8, 0
    ldr r4, [r0, #4]
    ldr r8, [r1, #4]
    G_FOUR r4, r8, 0
    ldrb r4, [r0, #8]
    ldrb r8, [r1, #8]
    ldr r5, [r0, r10]
    ldr r9, [r1, r10]
    orr r4, r4, r5, lsl #8
    orr r8, r8, r9, lsl #8
    G_FOUR r4, r8, 0
    add r0, r0, r10
    add r1, r1, r10
    ldr r4, [r0, #3]
    ldr r8, [r1, #3]
    G_FOUR r4, r8, 0
    ldrh r4, [r0, #7]
    ldrh r8, [r1, #7]
    ldr r5, [r0, r10]
    ldr r9, [r1, r10]
    pkhbt r4, r4, r5, lsl #16
    pkhbt r8, r8, r9, lsl #16
    G_FOUR r4, r8, 0
    add r0, r0, r10
    add r1, r1, r10
    ldr r4, [r0, #2]
    ldr r8, [r1, #2]
    G_FOUR r4, r8, 0
    ldr r4, [r0, #5]
    ldr r8, [r1, #5]
    lsr r4, r4, #8
    lsr r8, r8, #8
    G_FOUR r4, r8, 0
    b 15f

43: G_EIGHTS 1
40: G_EIGHTS 0

15: ldr r0, [sp]
    ldr r1, [sp, #16]
16: ldm r1!, {r2-r5}
    ldrd r10, r11, [r0], #8
    ldrd r12, lr, [r1], #8
    smlad r7, r11, r12, r3
    smlad r3, r10, r12, r3
    sxtb16 r12, r12
    smlad r9, r11, lr, r5
    smlad r5, r10, lr, r5
    sxtb16 lr, lr
    smlad r6, r11, r12, r2
    smlad r2, r10, r12, r2
    smlad r8, r11, lr, r4
    smlad r4, r10, lr, r4
    ldr pc, [sp, #68]
    .balign 4
20:
    .rept 16
    ldrd r10, r11, [r0], #8
    ldrd r12, lr, [r1], #8
    smlad r3, r10, r12, r3
    smlad r7, r11, r12, r7
    sxtb16 r12, r12
    smlad r5, r10, lr, r5
    smlad r9, r11, lr, r9
    sxtb16 lr, lr
    smlad r2, r10, r12, r2
    smlad r6, r11, r12, r6
    smlad r4, r10, lr, r4
    smlad r8, r11, lr, r8
    .endr
    ldr r10, [sp, #12]
    cmp r0, r10
    bne 20b
    ldr pc, [sp, #72]

30: G_SPLIT
    .irp a, r2, r4, r6, r8
    lsl \\a, \\a, #1
    .endr
    G_RELU smmlar, r2, r6
    G_RELU smmla, r3, r7
    G_RELU smmlar, r4, r8
    G_RELU smmla, r5, r9
    G_PACK
    G_STORE
    b 80f
31: G_SPLIT
    G_RELU smmlar, r2, r6
    G_RELU smmla, r3, r7
    G_RELU smmlar, r4, r8
    G_RELU smmla, r5, r9
    G_PACK
    G_STORE
    b 80f
33: G_SPLIT
    G_EXACT
    ldr r12, [sp, #60]
    .irp a, r2, r3, r4, r5, r6, r7, r8, r9
    usat \\a, #8, \\a
    .endr
    .irp a, r2, r3, r4, r5, r6, r7, r8, r9
    ldrb \\a, [r12, \\a]
    .endr
    orr r2, r2, r3, lsl #8
    orr r6, r6, r7, lsl #8
    orr r2, r2, r4, lsl #16
    orr r6, r6, r8, lsl #16
    orr r2, r2, r5, lsl #24
    orr r6, r6, r9, lsl #24
    G_STORE
    b 80f
32: G_SPLIT
    G_EXACT
    G_PACK
    G_STORE

80: ldr r3, [sp, #28]
    cbnz r3, 85f
81: ldrd r3, r4, [sp, #20]
    add r3, lr, r3
    cmp lr, r4
    strd lr, r3, [sp, #4]
    bne 10b
    ldrd r5, r6, [sp, #80]
    subs r5, #1
    beq 84f
    add r4, r4, r6
    str r5, [sp, #80]
    str r4, [sp, #24]
    ldrd r5, r6, [sp, #88]
    ldr r4, [sp, #32]
    add lr, lr, r6
    add r4, r4, r5
    ldr r5, [sp, #96]
    str r4, [sp, #32]
    add r3, lr, r5
    strd lr, r3, [sp, #4]
    b 10b
84: add sp, #116
    pop {r4-r11, pc}
85: tst r11, #0x200
    bne 86f
    strd r10, lr, [sp, #100]
    add r10, sp, #108
    add lr, sp, #112
    strd r10, lr, [sp, #4]
    b 16b
86: ldrd r10, lr, [sp, #100]
87: strb r2, [r10], #1
    strb r6, [lr], #1
    lsr r2, r2, #8
    lsr r6, r6, #8
    subs r3, #1
    bne 87b
    b 81b

    .purgem G_FOUR
    .purgem G_EIGHTS
    .purgem G_RELU
    .purgem G_GENERAL
    .purgem G_EXACT
    .purgem G_SPLIT
    .purgem G_PACK
    .purgem G_STORE
        ",
        options(raw)
    )
}

/// Which bytes of the input are columns, and where their outputs go.
#[derive(Clone, Copy, Debug)]
pub struct Columns {
    /// First byte of the first column.
    pub input: usize,
    /// Bytes from a column to the next.
    pub step: usize,
    /// Rows of a column.
    pub rows: usize,
    /// Bytes of a row; all rows together, from `first_tap` on, are taps of the filter.
    pub run: usize,
    /// Bytes from a row to the next.
    pub pitch: usize,
    /// Tap that the first row begins with.
    pub first_tap: usize,
    /// Columns; an odd last one costs as much as two.
    pub count: usize,
    /// First byte of the first column's output; the others follow.
    pub output: usize,
}

/// Rows of outputs that differ in their places only.
#[derive(Clone, Copy, Debug)]
pub struct Lines {
    /// How many.
    pub count: usize,
    /// Bytes from a row's first input byte to the next row's.
    pub input: usize,
    /// Bytes from a row's first output byte to the next row's.
    pub output: usize,
}

impl Lines {
    /// One row.
    pub const ONE: Self = Self {
        count: 1,
        input: 0,
        output: 0,
    };

    /// Ends of the last row's input and output, from those of the first.
    fn ends(&self, input: usize, output: usize) -> Option<(usize, usize)> {
        let more = self.count.checked_sub(1)?;
        let input = more.checked_mul(self.input)?.checked_add(input)?;
        let output = more.checked_mul(self.output)?.checked_add(output)?;
        Some((input, output))
    }
}

/// Weights and scratch memory of a layer, checked once.
#[derive(Debug)]
pub struct Gemm<'a> {
    weights: Pairs<'a>,
    table: Option<&'a [u8; 256]>,
    taps: usize,
    /// Two columns of int16.
    x: &'a mut [i8],
    /// Two columns of int8; empty where all rows are whole words.
    buffer: &'a mut [i8],
}

/// Whether `bytes` begins at a multiple of 4.
pub fn is_aligned<T>(bytes: &[T]) -> bool {
    bytes.as_ptr().addr().is_multiple_of(4)
}

/// Whether a kernel may run over the stream: words at multiples of 4, as many as the shape takes.
/// That its flags are where the kernels stop is true of every [`Pairs`]: they are checked when a
/// model is parsed, and nobody else makes filters.
pub fn is_sound(weights: &Pairs<'_>) -> bool {
    let len = stream_len(weights.taps as u64, weights.out_ch as u64);
    weights.bytes().len() as u64 == len && weights.taps > 0 && is_aligned(weights.bytes())
}

/// Two columns at the border of the image, or a single one twice.
#[derive(Clone, Copy, Debug)]
pub struct BorderPair {
    /// What lies under them.
    pub borders: [Border; 2],
    /// Their first bytes inside the image.
    pub from: [usize; 2],
    /// First bytes of their outputs.
    pub outputs: [usize; 2],
}

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
unsafe extern "C" fn expand_border(from: *const i8, to: *mut u32, border: *const Border) {
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
unsafe extern "C" fn gather_border(from: *const i8, to: *mut i8, border: *const Border) {
    naked_asm!(
        dsp!(),
        "
    .macro B_OUTSIDE taps
    subs r12, \\taps, #4
    blt 22f
21: subs r12, #4
    str lr, [r1], #4
    bge 21b
22: adds r12, #4
    beq 24f
23: subs r12, #1
    strb lr, [r1], #1
    bne 23b
24:
    .endm
    push {r4-r11, lr}
    ldm r2, {r4-r10, lr}
    mov r11, r10
    B_OUTSIDE r4
    cmp r8, #0
    beq 39f
31: B_OUTSIDE r5
    subs r12, r6, #4
    blt 33f
32: ldr r2, [r0], #4
    subs r12, #4
    str r2, [r1], #4
    bge 32b
33: adds r12, #4
    beq 35f
34: ldrb r2, [r0], #1
    subs r12, #1
    strb r2, [r1], #1
    bne 34b
35: B_OUTSIDE r7
    add r0, r0, r9
    subs r8, #1
    bne 31b
39: B_OUTSIDE r11
    pop {r4-r11, pc}
    .purgem B_OUTSIDE
        ",
        options(raw)
    )
}

impl<'a> Gemm<'a> {
    /// None where weights or scratch memory are misaligned or short, or there are fewer than four
    /// output channels.
    pub fn new(
        weights: Pairs<'a>,
        table: Option<&'a [u8; 256]>,
        scratch: &'a mut [i8],
    ) -> Option<Self> {
        let taps = padded(weights.taps);
        let has_table = table.is_some() == (weights.mode == Mode::Table);
        if !is_sound(&weights) || weights.out_ch < BLOCK || !has_table || !is_aligned(scratch) {
            return None;
        }
        let (x, rest) = scratch.split_at_mut_checked(4 * taps)?;
        let buffer = rest.get_mut(..2 * taps).unwrap_or(&mut []);
        Some(Self {
            weights,
            table,
            taps,
            x,
            buffer,
        })
    }

    /// Whether columns of any bytes can be gathered.
    pub fn has_buffer(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Expands `value` as the taps of `range` of both columns, for rows outside the image. Holds
    /// for [`Gemm::run`] with columns that leave these taps out.
    pub fn fill(&mut self, range: core::ops::Range<usize>, value: i8, whole_words: bool) {
        if whole_words {
            let [a, b] = i16::from(value).to_le_bytes().map(|b| b as i8);
            let taps = self.x.get_mut(4 * range.start..4 * range.end);
            let (words, _) = taps.unwrap_or(&mut []).as_chunks_mut::<4>();
            words.fill([a, b, a, b]);
        } else {
            for column in [0, self.taps] {
                let range = column + range.start..column + range.end;
                self.buffer.get_mut(range).unwrap_or(&mut []).fill(value);
            }
        }
    }

    /// Computes the outputs of `columns` in all `lines`. False where they lie outside the slices or
    /// the mode wants what the input has not; nothing is written then.
    pub fn run(
        &mut self,
        columns: &Columns,
        lines: &Lines,
        input: &[i8],
        output: &mut [i8],
    ) -> bool {
        let Some(expand) = self.plan(columns, lines, input, output) else {
            return false;
        };
        let pairs = columns.count / 2;
        if pairs > 0 {
            self.call(columns, lines, expand, pairs, input, output);
        }
        if columns.count % 2 == 1 {
            let last = Columns {
                input: columns.input + 2 * pairs * columns.step,
                output: columns.output + 2 * pairs * self.weights.out_ch,
                step: 0,
                ..*columns
            };
            self.call(&last, lines, expand, 1, input, output);
        }
        true
    }

    /// How to expand, if everything lies inside.
    fn plan(&self, c: &Columns, lines: &Lines, input: &[i8], output: &[i8]) -> Option<Expand> {
        if c.count == 0 || c.rows == 0 || c.run == 0 {
            return None;
        }
        let out_len = c.count.checked_mul(self.weights.out_ch)?;
        let last_column = (c.count - 1).checked_mul(c.step)?;
        let last_row = (c.rows - 1).checked_mul(c.pitch)?;
        let before = c.input.checked_add(last_column)?.checked_add(last_row)?;
        let ends = lines.ends(before.checked_add(c.run)?, c.output.checked_add(out_len)?);
        let (end, out_end) = ends?;
        let taps = c.first_tap.checked_add(c.rows.checked_mul(c.run)?)?;
        if out_end > output.len() || end > input.len() || taps > self.weights.taps {
            return None;
        }
        let places = c.input | c.step | c.pitch | c.run | c.first_tap | lines.input;
        let words = places.is_multiple_of(4) && is_aligned(input);
        let eights = words && c.run.is_multiple_of(8);
        if self.weights.mode == Mode::ReluDoubled {
            return (eights && c.rows == 1).then_some(Expand::EightsDoubled);
        }
        if eights {
            return Some(Expand::Eights);
        }
        let whole = (c.run | c.first_tap).is_multiple_of(4);
        // A single row of any length is read up to the next multiple of 4 of its own length.
        let read = end.checked_add(c.run.wrapping_neg() % 4)?;
        if (whole || c.run == self.weights.taps) && read <= input.len() {
            return Some(Expand::Words);
        }
        if c.run == 9 && c.rows == 3 && self.weights.taps == 27 {
            return Some(Expand::ThreeByThree);
        }
        self.has_buffer().then_some(Expand::Bytes)
    }

    fn call(
        &mut self,
        c: &Columns,
        lines: &Lines,
        expand: Expand,
        pairs: usize,
        input: &[i8],
        output: &mut [i8],
    ) {
        let first = output.as_mut_ptr().wrapping_add(c.output);
        let (column, out_len) = match c.step {
            0 => (0, self.weights.out_ch),
            _ => (self.weights.out_ch, 2 * pairs * self.weights.out_ch),
        };
        let (destination, tap_bytes): (*mut u8, _) = if expand == Expand::Bytes {
            (self.buffer.as_mut_ptr().cast(), 1)
        } else {
            (self.x.as_mut_ptr().cast(), 4)
        };
        let tap = |tap: usize| destination.wrapping_add(tap_bytes * tap);
        // Whole rows are expanded, up to a multiple of 4.
        let last = match expand {
            Expand::Words => c.first_tap + c.rows * c.run.next_multiple_of(4),
            _ => c.first_tap + c.rows * c.run,
        };
        let frame = Frame {
            input: input.as_ptr().wrapping_add(c.input),
            pair_step: 2 * c.step,
            column_step: c.step,
            destination: tap(c.first_tap),
            destination_end: tap(last),
            row_advance: c.pitch.wrapping_sub(c.run),
            run: c.run,
            out: [first, first.wrapping_add(column)],
            lines: lines.count,
            line_end: first.wrapping_add(out_len),
            line_step: lines.output,
            line_input: lines.input.wrapping_sub(2 * pairs * c.step),
            line_output: lines.output.wrapping_sub(out_len),
            line_column: column,
            ..self.frame(expand)
        };
        // SAFETY: `plan` has proven for all columns of `c` in all lines, of which these are some,
        // that their rows lie in the input, also as far as words reach behind them, that their taps
        // lie in x (or, gathered, in the buffer) and their outputs in the output, and that
        // addresses are multiples of 4 where LDM reads. A single column has step 0: both columns
        // and outputs are the same. `is_sound` tells why the stream is right.
        unsafe { gemm_2x4(&raw const frame) }
    }

    /// Computes two columns at the border in all `lines`. `whole_words`: all lengths are multiples
    /// of 4. False where they do not fit; nothing is written then.
    pub fn run_borders(
        &mut self,
        pair: &BorderPair,
        lines: &Lines,
        whole_words: bool,
        input: &[i8],
        output: &mut [i8],
    ) -> bool {
        let out_ch = self.weights.out_ch;
        let fits = (0..2).all(|i| {
            let (b, from, out) = (&pair.borders[i], pair.from[i], pair.outputs[i]);
            let taps = b.top + b.rows * (b.before + b.inside + b.behind) + b.bottom;
            let lengths = b.top | b.before | b.inside | b.behind | b.bottom;
            let read = b.rows.saturating_sub(1) * (b.inside + b.advance) + b.inside;
            let ends = lines.ends(from + read, out + out_ch);
            let inside = ends.is_some_and(|(input_end, output_end)| {
                (input_end <= input.len() || b.rows == 0) && output_end <= output.len()
            });
            inside && taps == self.weights.taps && (!whole_words || lengths.is_multiple_of(4))
        });
        let ready = whole_words || self.has_buffer();
        if !fits || !ready || self.weights.mode == Mode::ReluDoubled {
            return false;
        }
        let expand = if whole_words {
            Expand::Nothing
        } else if self.taps.is_multiple_of(8) {
            Expand::Eights
        } else {
            Expand::Words
        };
        let x: *mut u8 = self.x.as_mut_ptr().cast();
        let buffer = self.buffer.as_mut_ptr();
        let mut frame = Frame {
            input: buffer,
            column_step: self.taps,
            destination: x,
            destination_end: x.wrapping_add(4 * self.taps),
            run: self.taps,
            ..self.frame(expand)
        };
        for line in 0..lines.count {
            for column in 0..2 {
                let border = &raw const pair.borders[column];
                let from = input
                    .as_ptr()
                    .wrapping_add(pair.from[column] + line * lines.input);
                // SAFETY: the rows lie in the input. Either x begins at a multiple of 4 and holds
                // two words for every two taps, of which the column's are every second one; or the
                // buffer holds more bytes for each column than there are taps.
                unsafe {
                    if whole_words {
                        expand_border(from, x.wrapping_add(4 * column).cast(), border);
                    } else {
                        gather_border(from, buffer.wrapping_add(column * self.taps), border);
                    }
                }
                let out = pair.outputs[column] + line * lines.output;
                frame.out[column] = output.as_mut_ptr().wrapping_add(out);
            }
            frame.line_end = frame.out[1].wrapping_add(out_ch);
            // SAFETY: both columns are the buffer's two halves of `taps` bytes (a multiple of 4,
            // and the buffer begins at one), and expand to all of x, or x is what the kernel reads.
            // Both outputs of `out_ch` bytes lie in `output`. `is_sound` tells why the stream is
            // right.
            unsafe { gemm_2x4(&raw const frame) }
        }
        true
    }

    fn frame(&mut self, expand: Expand) -> Frame {
        let x = self.x.as_mut_ptr();
        Frame {
            x: x.cast(),
            out: [core::ptr::null_mut(); 2],
            x_end: x.wrapping_add(4 * self.taps).cast(),
            stream: self.weights.bytes().as_ptr(),
            out_ch: self.weights.out_ch,
            line_end: core::ptr::null_mut(),
            rest: self.weights.out_ch % BLOCK,
            input: core::ptr::null(),
            pair_step: 0,
            column_step: 0,
            destination: core::ptr::null_mut(),
            destination_end: core::ptr::null_mut(),
            row_advance: 0,
            run: 0,
            table: self.table.map_or(core::ptr::null(), |t| t.as_ptr()),
            buffer: self.buffer.as_mut_ptr().cast(),
            steps: self.taps / 2,
            mode: match self.weights.mode {
                Mode::Relu => 0,
                Mode::ReluDoubled => 1,
                Mode::General => 2,
                Mode::Table => 3,
            },
            expand: expand as usize,
            lines: 1,
            line_step: 0,
            line_input: 0,
            line_output: 0,
            line_column: 0,
        }
    }
}
