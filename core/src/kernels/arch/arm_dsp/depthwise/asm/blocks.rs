//! The block kernels: two rows by two columns of one channel.
#![allow(unsafe_code)]

use crate::kernels::{OperatorSet, Operators};
use crate::op::row_pairs::Kernel;
use core::arch::global_asm;

global_asm!(
    dsp!(),
    r#"
    .syntax unified

    @ r0 -> Frame, r1 pair rows, r2 output. On the stack: 0 bias, 4 m, 8 c, 12 e, 16 output, 20 weights, 24 parameters, 28 their end,
    @ 32 column step, 36 row step, 40 end of the pair rows, 44 and 48 what a channel goes back by
    @ in pair rows and output, 52 table.
    .macro PDW_ENTER name
    .section .text.\name, "ax", %progbits
    .global \name
    .thumb_func
    \name:
    push   {{r4-r11, lr}}
    ldm    r0, {{r4-r11}}
    mov    r0, r1
    mov    r1, r2
    add    r8, r8, r0
    push   {{r4-r11}}
    sub    sp, #24
    mov    r12, r4
    .endm

    .macro PDW_CHANNEL fast
    .if \fast
    ldm    r12!, {{r8-r10}}
    stm    sp, {{r8-r10}}
    .else
    ldm    r12!, {{r8-r11}}
    stm    sp, {{r8-r11}}
    str    r1, [sp, #16]
    .endif
    .endm

    .macro PDW_NEXT again
    ldrd   r12, r8, [sp, #24]
    ldrd   r10, r11, [sp, #44]
    sub    r0, r0, r10
    sub    r1, r1, r11
    cmp    r12, r8
    bne    \again
    add    sp, #56
    pop    {{r4-r11, pc}}
    .endm

    .macro PDW_AWAY sum
    add    r1, lr, \sum, asr #31
    smmlar \sum, \sum, r12, r1
    .endm

    @ Sums r8 r9 (upper row) r10 r11 (lower row) to int8 in memory; the first one last, so that a
    @ step of 0 leaves what belongs there.
    .macro PDW_FINISH fast, again
    ldrd   r12, lr, [sp, #4]
    .if \fast
    smmla  r8, r8, r12, lr
    smmla  r9, r9, r12, lr
    smmla  r10, r10, r12, lr
    smmla  r11, r11, r12, lr
    ldrd   r12, lr, [sp, #32]
    ssat   r8, #8, r8, asr #12
    ssat   r9, #8, r9, asr #12
    ssat   r10, #8, r10, asr #12
    ssat   r11, #8, r11, asr #12
    .else
    PDW_AWAY r8
    PDW_AWAY r9
    PDW_AWAY r10
    PDW_AWAY r11
    ldr    r12, [sp, #12]
    ldr    r1, [sp, #52]
    asr    r8, r8, r12
    asr    r9, r9, r12
    asr    r10, r10, r12
    asr    r11, r11, r12
    ssat   r8, #8, r8
    ssat   r9, #8, r9
    ssat   r10, #8, r10
    ssat   r11, #8, r11
    cbz    r1, 8f
    ldrsb  r8, [r1, r8]
    ldrsb  r9, [r1, r9]
    ldrsb  r10, [r1, r10]
    ldrsb  r11, [r1, r11]
8:  ldr    r1, [sp, #16]
    ldrd   r12, lr, [sp, #32]
    .endif
    add    lr, lr, r1
    strb   r11, [lr, r12]
    strb   r10, [lr]
    strb   r9, [r1, r12]
    strb   r8, [r1]
    add    r1, r1, r12, lsl #1
    .if \fast == 0
    str    r1, [sp, #16]
    .endif
    ldr    r12, [sp, #40]
    cmp    r0, r12
    blo    \again
    .endm

    @ Taps of the window's first rows: w = (w0, w1), p = (row 0, row 1) of the upper outputs.
    .macro PDW_TOP p, w, upper, lower
    smlad  \upper, \p, \w, \upper
    smlatb \lower, \p, \w, \lower
    .endm
    @ Taps of the last rows: w = (last but one, last).
    .macro PDW_LOW p, w, upper, lower
    smlabt \upper, \p, \w, \upper
    smlad  \lower, \p, \w, \lower
    .endm
    .macro PDW_MID p, w, v, upper, lower
    smlad  \upper, \p, \w, \upper
    smlad  \lower, \p, \v, \lower
    .endm
    @ The first column's taps; the bias in r8 starts all four sums. Columns in r12, lr.
    .macro PDW_FIRST w
    smlad  r9, lr, \w, r8
    smlatb r11, lr, \w, r8
    smlatb r10, r12, \w, r8
    smlad  r8, r12, \w, r8
    .endm

    @ Weights: (w0, w1) of three columns, (w1, w2) of three columns. 24 for 36 taps.
    .macro PDW_3X3S1 name, fast
    PDW_ENTER \name
1:  PDW_CHANNEL \fast
    ldm    r12!, {{r2-r7}}
    str    r12, [sp, #24]
2:  ldrd   r12, lr, [r0], #64
    ldr    r8, [sp]
    PDW_FIRST r2
    PDW_TOP lr, r3, r8, r10
    ldrd   r12, lr, [r0]
    PDW_TOP r12, r4, r8, r10
    PDW_TOP r12, r3, r9, r11
    PDW_TOP lr, r4, r9, r11
    ldrd   r12, lr, [r0, #-32]
    PDW_LOW r12, r5, r8, r10
    PDW_LOW lr, r6, r8, r10
    PDW_LOW lr, r5, r9, r11
    ldrd   r12, lr, [r0, #32]
    PDW_LOW r12, r7, r8, r10
    PDW_LOW r12, r6, r9, r11
    PDW_LOW lr, r7, r9, r11
    PDW_FINISH \fast, 2b
    PDW_NEXT 1b
    .endm

    @ Weights: (w0, w1) of three columns, w2 of columns 0 and 1, w2 of column 2. 24 for 36 taps.
    .macro PDW_3X3S2 name, fast
    PDW_ENTER \name
1:  PDW_CHANNEL \fast
    ldm    r12!, {{r2-r6}}
    str    r12, [sp, #24]
2:  ldrd   r12, lr, [r0], #192
    ldr    r10, [sp]
    smlad  r8, r12, r2, r10
    smlad  r8, lr, r3, r8
    ldrd   r12, lr, [r0, #-96]
    ldr    r7, [r0]
    smlad  r8, r12, r4, r8
    smlad  r9, r12, r2, r10
    smlad  r9, lr, r3, r9
    smlad  r9, r7, r4, r9
    ldrd   r12, lr, [r0, #-64]
    ldr    r7, [r0, #32]
    smlabb r8, r12, r6, r8
    smlabb r9, r12, r5, r9
    smlabt r9, lr, r5, r9
    smlabb r9, r7, r6, r9
    smlad  r11, r12, r2, r10
    smlad  r11, lr, r3, r11
    smlad  r11, r7, r4, r11
    smlad  r10, r12, r4, r10
    ldrd   r12, lr, [r0, #-160]
    smlabb r8, r12, r5, r8
    smlabt r8, lr, r5, r8
    smlad  r10, r12, r2, r10
    smlad  r10, lr, r3, r10
    ldrd   r12, lr, [r0, #-128]
    smlabb r10, r12, r5, r10
    smlabt r10, lr, r5, r10
    ldrd   r12, lr, [r0, #-32]
    ldr    r7, [r0, #64]
    smlabb r10, r12, r6, r10
    smlabb r11, r12, r5, r11
    smlabt r11, lr, r5, r11
    smlabb r11, r7, r6, r11
    PDW_FINISH \fast, 2b
    PDW_NEXT 1b
    .endm

    @ Weights: (w0, w1) of five columns; (w2, w3) and (w1, w2) of each column; (w3, w4) of five.
    @ 60 for 100 taps.
    .macro PDW_5X5S1 name, fast
    PDW_ENTER \name
1:  PDW_CHANNEL \fast
    str    r12, [sp, #20]
    add    r12, r12, #80
    str    r12, [sp, #24]
2:  ldr    r2, [sp, #20]
    ldr    r8, [sp]
    ldm    r2!, {{r3-r7}}
    ldrd   r12, lr, [r0], #96
    PDW_FIRST r3
    PDW_TOP lr, r4, r8, r10
    ldrd   r12, lr, [r0]
    PDW_TOP r12, r5, r8, r10
    PDW_TOP r12, r4, r9, r11
    PDW_TOP lr, r6, r8, r10
    PDW_TOP lr, r5, r9, r11
    ldrd   r12, lr, [r0, #96]
    PDW_TOP r12, r7, r8, r10
    PDW_TOP r12, r6, r9, r11
    PDW_TOP lr, r7, r9, r11
    ldm    r2!, {{r3-r6}}
    ldrd   r12, lr, [r0, #-64]
    PDW_MID r12, r3, r4, r8, r10
    PDW_MID lr, r5, r6, r8, r10
    PDW_MID lr, r3, r4, r9, r11
    ldrd   r12, lr, [r0, #32]
    ldrd   r3, r4, [r2], #8
    PDW_MID r12, r5, r6, r9, r11
    ldrd   r5, r6, [r2], #8
    PDW_MID r12, r3, r4, r8, r10
    PDW_MID lr, r5, r6, r8, r10
    PDW_MID lr, r3, r4, r9, r11
    ldrd   r12, lr, [r0, #128]
    ldrd   r3, r4, [r2], #8
    PDW_MID r12, r5, r6, r9, r11
    PDW_MID r12, r3, r4, r8, r10
    PDW_MID lr, r3, r4, r9, r11
    ldm    r2!, {{r3-r7}}
    ldrd   r12, lr, [r0, #-32]
    PDW_LOW r12, r3, r8, r10
    PDW_LOW lr, r4, r8, r10
    PDW_LOW lr, r3, r9, r11
    ldrd   r12, lr, [r0, #64]
    PDW_LOW r12, r5, r8, r10
    PDW_LOW r12, r4, r9, r11
    PDW_LOW lr, r6, r8, r10
    PDW_LOW lr, r5, r9, r11
    ldrd   r12, lr, [r0, #160]
    PDW_LOW r12, r7, r8, r10
    PDW_LOW r12, r6, r9, r11
    PDW_LOW lr, r7, r9, r11
    PDW_FINISH \fast, 2b
    PDW_NEXT 1b
    .endm

    PDW_3X3S1 pupil_m4_dw3x3s1_fast, 1
    PDW_3X3S1 pupil_m4_dw3x3s1, 0
    PDW_3X3S2 pupil_m4_dw3x3s2_fast, 1
    PDW_3X3S2 pupil_m4_dw3x3s2, 0
    PDW_5X5S1 pupil_m4_dw5x5s1_fast, 1
    PDW_5X5S1 pupil_m4_dw5x5s1, 0
    .text
    "#
);

/// What is the same for all steps of a group of channels.
#[repr(C)]
#[derive(Debug)]
pub(in super::super) struct Frame {
    pub params: *const u32,
    pub params_end: *const u32,
    /// Bytes between output columns; 0 where the second one does not exist.
    pub column: usize,
    /// Bytes between output rows; 0 where the second one does not exist.
    pub row: usize,
    /// Bytes of the step's pair rows.
    pub len: usize,
    /// What a channel goes back by in pair rows and output.
    pub src_back: usize,
    pub out_back: usize,
    /// Middle of a table of 256 signed indices, or null.
    pub table: *const i8,
}

impl Frame {
    /// `count` blocks of two columns that are `column` bytes apart; channels and rows follow.
    #[inline(always)]
    pub(in super::super) fn new(
        block: &Block,
        count: usize,
        column: usize,
        table: *const i8,
    ) -> Self {
        let len = count * block.pitch() * usize::from(block.stride);
        Self {
            params: core::ptr::null(),
            params_end: core::ptr::null(),
            column,
            row: 0,
            len,
            // A channel's words are 8 bytes apart: channel 3 begins 24 bytes in, less than a block.
            src_back: len.wrapping_sub(8),
            out_back: (2 * count * column).wrapping_sub(1),
            table,
        }
    }

    /// The channels to compute: those of `words` words at `params`.
    #[inline(always)]
    pub(in super::super) fn channels(&mut self, params: *const u32, words: usize) {
        self.params = params;
        self.params_end = params.wrapping_add(words);
    }
}

/// A block kernel: `(frame, pair rows, output)`.
pub(in super::super) type Blocks = unsafe extern "C" fn(*const Frame, *const u32, *mut i8);

unsafe extern "C" {
    fn pupil_m4_dw3x3s1_fast(frame: *const Frame, src: *const u32, out: *mut i8);
    fn pupil_m4_dw3x3s1(frame: *const Frame, src: *const u32, out: *mut i8);
    fn pupil_m4_dw3x3s2_fast(frame: *const Frame, src: *const u32, out: *mut i8);
    fn pupil_m4_dw3x3s2(frame: *const Frame, src: *const u32, out: *mut i8);
    fn pupil_m4_dw5x5s1_fast(frame: *const Frame, src: *const u32, out: *mut i8);
    fn pupil_m4_dw5x5s1(frame: *const Frame, src: *const u32, out: *mut i8);
}

/// A kernel's code and what the loop around it needs of it: numbers, not questions.
#[derive(Debug)]
pub(in super::super) struct Block {
    pub code: Blocks,
    /// Words of a channel.
    pub words: u8,
    /// Pair rows that one step reads.
    pub live: u8,
    /// Rows and columns between outputs, and pair rows from one step to the next.
    pub stride: u8,
    /// Rows and columns of the window.
    pub side: u8,
}

impl Block {
    const fn new(kernel: Kernel, code: Blocks) -> Self {
        Self {
            code,
            words: kernel.words() as u8,
            live: kernel.live() as u8,
            stride: kernel.stride() as u8,
            side: kernel.side() as u8,
        }
    }

    /// None for a kernel that is not among the operators `O`: it is not linked.
    #[inline(always)]
    pub(in super::super) fn of<O: Operators>(kernel: Kernel) -> Option<&'static Self> {
        const K3S1: Kernel = Kernel::K3S1 { fast: false };
        const K3S2: Kernel = Kernel::K3S2 { fast: false };
        const K5S1: Kernel = Kernel::K5S1 { fast: false };
        const K3S1_FAST: Kernel = Kernel::K3S1 { fast: true };
        const K3S2_FAST: Kernel = Kernel::K3S2 { fast: true };
        const K5S1_FAST: Kernel = Kernel::K5S1 { fast: true };
        Some(match kernel {
            K3S1 if O::SET.has(OperatorSet::of_kernel(K3S1)) => {
                const { &Self::new(K3S1, pupil_m4_dw3x3s1) }
            }
            K3S2 if O::SET.has(OperatorSet::of_kernel(K3S2)) => {
                const { &Self::new(K3S2, pupil_m4_dw3x3s2) }
            }
            K5S1 if O::SET.has(OperatorSet::of_kernel(K5S1)) => {
                const { &Self::new(K5S1, pupil_m4_dw5x5s1) }
            }
            K3S1_FAST if O::SET.has(OperatorSet::of_kernel(K3S1_FAST)) => {
                const { &Self::new(K3S1_FAST, pupil_m4_dw3x3s1_fast) }
            }
            K3S2_FAST if O::SET.has(OperatorSet::of_kernel(K3S2_FAST)) => {
                const { &Self::new(K3S2_FAST, pupil_m4_dw3x3s2_fast) }
            }
            K5S1_FAST if O::SET.has(OperatorSet::of_kernel(K5S1_FAST)) => {
                const { &Self::new(K5S1_FAST, pupil_m4_dw5x5s1_fast) }
            }
            _ => return None,
        })
    }

    /// Bytes from one column pair to the next.
    #[inline(always)]
    pub(in super::super) fn pitch(&self) -> usize {
        32 * usize::from(self.live)
    }
}
