//! Depthwise micro-kernels for the Arm DSP extension (Cortex-M4, M7).
//!
//! Data are *pair words*: one column of two image rows, the upper row's value in the low half,
//! the lower row's in the high half, both sign-extended. SMLAD multiplies both by two weights of
//! one column and adds: two taps an instruction. `portable.rs` is the same in plain Rust.
//!
//! # Layout of pair rows
//! Two columns of four channels are 8 words (32 bytes): channel 0 left, channel 0 right, channel
//! 1 left, … The pair rows that one step reads are interleaved: column pair j of row i of the
//! step lies at byte `pitch * j + 32 * i`, so that every load of a block has an immediate offset
//! from one pointer.
//!
//! # Registers of a block: two rows by two columns of one channel
//! | kernel | r0 | r1 | r2–r7 | r8–r11 | r12, lr |
//! |---|---|---|---|---|---|
//! | 3x3 stride 1 | pair rows | output | 6 weight words | sums | two columns |
//! | 3x3 stride 2 | pair rows | output | 5 weight words, fifth column | sums | two columns |
//! | 5x5 stride 1 | pair rows | output | r2 weight pointer, 5 of 20 words | sums | two columns |
//!
//! All 14 registers are in use; bias, multiplier, steps and ends are in the frame on the stack.
//!
//! # Way of a sum to an int8
//! *Fast*, where the output's zero point is its lower clamp of −128: ties away from zero and ties
//! up differ on negative numbers only, which saturate. Both roundings are then one floor:
//! floor(a m / 2^(31+e) + 2^(−1−e) + 1/2). The packer multiplies weights and bias by 2^(13−e), so
//! that SMMLA with c = 2^11 + 2^(11−e) + z 2^12 and SSAT with a shift of 12 do all of it.
//!
//! *Away*: weights and bias doubled, SMMLAR with c = 2^(e−1) + z 2^e, less one where the sum is
//! negative, a shift by e, SSAT, and the table if there is one. r1 is a temporary here, the output
//! pointer waits in the frame.
//!
//! `expand` makes pair rows, `blocks` and `any` compute on them.

mod any;
mod blocks;
mod expand;

pub(super) use any::{AnyFrame, pupil_m4_dw_any};
pub(super) use blocks::{Block, Frame};
pub(super) use expand::{
    MakeRow, pupil_m4_dw_expand, pupil_m4_dw_half, pupil_m4_dw_move, pupil_m4_dw_padding,
    pupil_m4_dw_planar,
};
