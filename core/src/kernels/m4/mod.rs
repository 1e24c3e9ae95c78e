//! Kernels in Arm DSP instructions: Cortex-M4, M7, M33, M55.
//!
//! A micro-kernel file holds assembly, with its register budget and instruction counts in the
//! header, behind functions that check every length: the only `unsafe` of this crate.
//! `docs/kernels.md` explains the loops. Functions return false where weights, scratch memory or
//! layout are not theirs; the portable kernel runs then.

mod conv;
mod dense;
mod gemm;

pub use conv::conv;
pub use dense::dense;
