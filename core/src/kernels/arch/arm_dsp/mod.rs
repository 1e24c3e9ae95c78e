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
//! Depthwise, add, multiply, pools and lookup have portable implementations of their blocks next to
//! the assembly, which read the same packed layout: the host's tests run them.

// Elsewhere only sizes are asked for, but in tests.
#![cfg_attr(not(any(arm_dsp, test)), allow(dead_code))]

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

mod add;
mod clamp;
#[cfg(arm_dsp)]
mod conv;
#[cfg(arm_dsp)]
mod dense;
pub mod depthwise;
#[cfg(arm_dsp)]
mod dot;
#[cfg(arm_dsp)]
mod gemm;
mod lookup;
mod pool;
#[cfg(arm_dsp)]
mod run;
mod simd;
mod squeeze_excite;
#[cfg(arm_dsp)]
mod sums;
#[cfg(arm_dsp)]
mod words;

pub use depthwise::scratch_words as depthwise_scratch_words;
#[cfg(arm_dsp)]
pub use run::{ISA, WORD_ALIGNED, mean_finish, mean_rows, run};
pub use squeeze_excite::{is_fast as mul_form, scratch_words as mul_scratch_words};

/// The DSP extension.
#[cfg(arm_dsp)]
#[derive(Debug)]
pub struct Dsp;

#[cfg(not(arm_dsp))]
use crate::kernels::arch::portable::lanes::Plain as Sums;
#[cfg(arm_dsp)]
use Dsp as Sums;
