//! Kernels in Arm DSP instructions: Cortex-M4, M7, M33, M55.
//!
//! A micro-kernel file holds assembly, with its register budget and instruction counts in the
//! header. `run.rs` checks lengths and alignment once for all operators that have packed layouts here;
//! what is inside follows from the shapes and windows that the parser has checked, and each `unsafe`
//! block says how. `docs/kernels.md` explains the loops. Nothing is written where places or layout are
//! not a kernel's. For the natural layout and for factors beyond the fast forms the portable kernel
//! runs then; packed layouts have no second kernel on a chip.
//!
//! Code is linked by [`OperatorSet`](crate::kernels::OperatorSet): a part that no layer of the program
//! takes is never named, and the linker leaves out its section.
//!
//! Depthwise, add, multiply, sums, pools and lookup have twins of their blocks in plain Rust beside
//! the assembly, which read the same packed layout: the host's tests run them.

/// First line of every assembly: on ARMv8-M the assembler knows the instructions of a core that
/// has them, not those of the target.
#[cfg(all(arm_dsp, not(armv7em)))]
macro_rules! dsp {
    () => {
        ".cpu cortex-m33"
    };
}
#[cfg(all(arm_dsp, armv7em))]
macro_rules! dsp {
    () => {
        ""
    };
}

pub mod add;
pub mod clamp;
#[cfg(arm_dsp)]
mod conv;
#[cfg(arm_dsp)]
mod dense;
pub mod depthwise;
#[cfg(arm_dsp)]
mod dot;
#[cfg(arm_dsp)]
mod gemm;
pub mod lookup;
pub mod maps;
pub mod pool;
#[cfg(arm_dsp)]
pub mod run;
mod simd;
pub mod squeeze_excite;
pub mod sums;
#[cfg(arm_dsp)]
pub mod words;

#[cfg(arm_dsp)]
pub use dot::dot4;
