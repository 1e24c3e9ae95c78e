//! Kernels in Arm DSP instructions: Cortex-M4, M7, M33, M55.
//!
//! A micro-kernel file holds assembly, with its register budget and instruction counts in the
//! header, behind functions that check every length: the only `unsafe` of this crate.
//! `docs/kernels.md` explains the loops. Functions return false where weights, scratch memory or
//! layout are not theirs; the portable kernel runs then.
//!
//! Depthwise, add, multiply, sums, pools and lookup have twins of their blocks in plain Rust beside
//! the assembly, which read the same packed layout: the host's tests run them.

pub mod add;
pub mod clamp;
#[cfg(arm_dsp)]
mod conv;
#[cfg(arm_dsp)]
mod dense;
pub mod depthwise;
#[cfg(arm_dsp)]
mod gemm;
pub mod lookup;
pub mod pool;
mod simd;
pub mod squeeze_excite;
pub mod sums;
#[cfg(arm_dsp)]
pub mod words;

#[cfg(arm_dsp)]
pub use conv::conv;
#[cfg(arm_dsp)]
pub use dense::dense;
