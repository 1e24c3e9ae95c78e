//! What the assembly of [`super`] is called with: its frame, and which of its parts a layer takes.
#![allow(unsafe_code)]

use super::border::{pupil_m4_gemm_border_bytes, pupil_m4_gemm_border_words};
use crate::kernels::{OperatorSet as Set, Operators};
use crate::op::pairs::{BLOCK, Mode};

/// A part of the kernel's code. Nobody but the kernel jumps there.
pub(super) type Part = unsafe extern "C" fn();

/// The kernel's arguments; it copies them to its own frame on the stack. Offsets are those in the
/// assembly.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    /// 0: expanded columns.
    pub x: *mut u32,
    /// 4: 0x80, and bit 31 where the steps are more than one pass.
    pub passes: u32,
    /// 8, 12: where the columns' outputs begin. The next pair's follow column 1's.
    pub out: [*mut i8; 2],
    /// 16: expanded columns.
    pub columns: *mut u32,
    /// 20: the weights.
    pub stream: *const u8,
    /// 24: output channels.
    pub out_ch: usize,
    /// 28: end of column 1's outputs of a row's last pair.
    pub line_end: *mut i8,
    /// 32: first row of the next pair's column 0.
    pub input: *const i8,
    /// 36: bytes from column 0 to column 1.
    pub column_step: usize,
    /// 40: where expansion (or gathering) of the first row begins; at the image's border what is to be
    /// done.
    pub destination: *mut i8,
    /// 44: bytes of a row.
    pub run: usize,
    /// 48: bytes from the end of a row to the beginning of the next.
    pub row_advance: usize,
    /// 52: bytes from a pair to the next.
    pub pair_step: usize,
    /// 56: where expansion (or gathering) of the last row ends.
    pub destination_end: *mut i8,
    /// 60: the fused table.
    pub table: *const u8,
    /// 64: end of the expanded columns, and gathered bytes of both columns.
    pub buffer: *mut i8,
    /// 68: the first of the sixteen steps to run.
    pub entry: usize,
    /// 72: way of the sums to int8.
    pub mode: Part,
    /// 76: way of the input to expanded columns.
    pub expand: Part,
    /// 80: rows of outputs.
    pub lines: usize,
    /// 84: bytes from a row's outputs to the next row's.
    pub line_step: usize,
    /// 88: bytes from the end of a row's columns to the next row's first.
    pub line_input: usize,
    /// 92: bytes from the end of a row's outputs to the next row's first.
    pub line_output: usize,
    /// 96: bytes from column 0's output to column 1's, at the begin of a row.
    pub line_column: usize,
    /// 100: what follows exact rounding: a table or nothing.
    pub finish: Part,
    /// 104: the last place in the expanded columns where a pass begins that is not the last one.
    pub more: *const u8,
    /// 108: what follows a pair's last block of four channels.
    pub end: Part,
}

unsafe extern "C" {
    pub(super) fn pupil_m4_gemm(frame: *const Frame);
    // Parts: way of the sums to int8.
    fn pupil_m4_gemm_relu();
    fn pupil_m4_gemm_doubled();
    fn pupil_m4_gemm_exact();
    fn pupil_m4_gemm_general();
    fn pupil_m4_gemm_table();
    // Parts: way of the input to expanded columns.
    fn pupil_m4_gemm_eights();
    fn pupil_m4_gemm_eights_doubled();
    fn pupil_m4_gemm_words();
    fn pupil_m4_gemm_bytes();
    fn pupil_m4_gemm_three();
    fn pupil_m4_gemm_columns();
    // The sixteen steps.
    fn pupil_m4_gemm_steps();
    // Parts: what follows a pair's last block.
    fn pupil_m4_gemm_end();
    fn pupil_m4_gemm_rest();
}

/// Bytes of expanded columns that a pass of sixteen steps reads.
pub(super) const PASS: usize = 16 * 8;

/// Where the first pass of `steps` steps enters: one of them is done before, and a step is 48 bytes
/// of code.
pub(super) fn entry(steps: usize) -> usize {
    let first: Part = pupil_m4_gemm_steps;
    (first as usize).wrapping_add(1usize.wrapping_sub(steps) % 16 * 48)
}

/// The code of a mode, and what follows it; none where they are not linked.
#[inline(always)]
pub(super) fn mode<O: Operators>(mode: Mode) -> Option<(Part, Part)> {
    let (relu, doubled): (Part, Part) = (pupil_m4_gemm_relu, pupil_m4_gemm_doubled);
    let (exact, general, table): (Part, Part, Part) = (
        pupil_m4_gemm_exact,
        pupil_m4_gemm_general,
        pupil_m4_gemm_table,
    );
    match mode {
        Mode::Relu if O::SET.has(Set::CONV_RELU) => Some((relu, relu)),
        Mode::ReluDoubled if O::SET.has(Set::CONV_DOUBLED) => Some((doubled, doubled)),
        Mode::General if O::SET.has(Set::CONV_GENERAL) => Some((exact, general)),
        Mode::Table if O::SET.has(Set::CONV_TABLE) => Some((exact, table)),
        _ => None,
    }
}

/// What follows the last block of four channels: the next pair, or a block of those that are left.
#[inline(always)]
pub(super) fn end<O: Operators>(out_ch: usize) -> Part {
    if O::SET.has(Set::CONV_REST) && !out_ch.is_multiple_of(BLOCK) {
        pupil_m4_gemm_rest
    } else {
        pupil_m4_gemm_end
    }
}

/// Ways from the input to expanded columns. The last two are in `border.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expand {
    /// Rows are multiples of 8 bytes at multiples of 4.
    Eights,
    /// The same; every value is doubled.
    EightsDoubled,
    /// Words at any address. Rows are multiples of 4 bytes; a single row may be of any length, and
    /// up to 3 bytes behind it are read.
    Words,
    /// Rows of any length at any address, gathered first.
    Bytes,
    /// Three rows of 9 bytes: 3x3 windows of three channels.
    ThreeByThree,
    /// At the border of the image, pixels of whole words.
    BorderWords,
    /// At the border of the image, other pixels.
    BorderBytes,
}

impl Expand {
    /// Its code. What the set has not is never linked, and never asked for: the set of a layer
    /// ([`Set::of`]) has all the ways that its columns take.
    #[inline(always)]
    pub(super) fn part<O: Operators>(self) -> Part {
        let (set, part): (Set, Part) = match self {
            Self::Eights => (Set::CONV_EIGHTS, pupil_m4_gemm_eights),
            Self::EightsDoubled => (Set::CONV_DOUBLED, pupil_m4_gemm_eights_doubled),
            Self::Words => (Set::CONV_WORDS, pupil_m4_gemm_words),
            Self::Bytes => (Set::CONV_BYTES, pupil_m4_gemm_bytes),
            Self::ThreeByThree => (Set::CONV_THREE, pupil_m4_gemm_three),
            Self::BorderWords => (Set::CONV, pupil_m4_gemm_border_words),
            Self::BorderBytes => (Set::CONV_ODD, pupil_m4_gemm_border_bytes),
        };
        if O::SET.has(set) {
            part
        } else {
            pupil_m4_gemm_columns
        }
    }
}
