//! Kernels in Arm DSP instructions: Cortex-M4, M7, M33, M55.
//!
//! A micro-kernel file holds assembly, with its register budget and instruction counts in the
//! header, behind functions that check every length: the only `unsafe` of this crate.
//! `docs/kernels.md` explains the loops. Functions return false, with the output unchanged, where
//! weights, scratch memory or layout are not theirs; the portable kernel runs then.

use super::Filter;

/// Convolution of any kernel and stride.
pub fn conv(_f: &Filter<'_>, _input: &[i8], _output: &mut [i8], _scratch: &mut [i8]) -> bool {
    false
}

/// Fully connected layer.
pub fn dense(_f: &Filter<'_>, _input: &[i8], _output: &mut [i8], _scratch: &mut [i8]) -> bool {
    false
}
