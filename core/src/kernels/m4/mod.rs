//! Kernels in Arm DSP instructions: Cortex-M4, M7, M33, M55.
//!
//! A micro-kernel file holds assembly, with its register budget and instruction counts in the
//! header, behind functions that check every length: the only `unsafe` of this crate.
//! `docs/kernels.md` explains the loops. Functions return false where weights, scratch memory or
//! layout are not theirs; the portable kernel runs then.

/// First line of every assembly: on ARMv8-M the assembler knows the instructions of a core that
/// has them, not those of the target.
#[cfg(not(armv7em))]
macro_rules! dsp {
    () => {
        ".cpu cortex-m33"
    };
}
#[cfg(armv7em)]
macro_rules! dsp {
    () => {
        ""
    };
}

mod conv;
mod dense;
mod dot;
mod gemm;

pub use conv::conv;
pub use dense::dense;
pub use dot::dot4;
