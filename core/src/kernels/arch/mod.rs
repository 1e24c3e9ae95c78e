//! One folder for each instruction set, all with the same exports; this file chooses one for the
//! build and is the only place outside the folders that names them.
//!
//! | export | meaning |
//! |---|---|
//! | `ISA` | its name |
//! | `WORD_ALIGNED` | whether packed weights and the arena must begin at multiples of 4 |
//! | `run` | runs an operator on its operands; false, with nothing written, where it can't |
//! | `mean_rows`, `mean_finish` | a mean over a map that comes a few rows at a time |
//!
//! Packed layouts and scratch memory are the same for all, so `arm_dsp` says on every host how much of
//! it its kernels take; for tests its blocks have portable implementations, too.

pub(crate) mod arm_dsp;
mod isa;
pub(crate) mod operands;
#[cfg_attr(arm_dsp, allow(dead_code))] // only what it falls back on is used
pub(crate) mod portable;
pub(crate) mod scratch;
#[cfg(all(not(arm_dsp), target_arch = "x86_64"))]
pub(crate) mod x86;

#[cfg(arm_dsp)]
pub(crate) use arm_dsp as current;
#[cfg(not(any(arm_dsp, target_arch = "x86_64")))]
pub(crate) use portable as current;
#[cfg(all(not(arm_dsp), target_arch = "x86_64"))]
pub(crate) use x86 as current;

pub use isa::Isa;

/// Items for instruction sets whose kernels read at any address.
#[cfg(not(arm_dsp))]
macro_rules! at_any_address {
    ($($item:item)*) => { $($item)* };
}
#[cfg(arm_dsp)]
macro_rules! at_any_address {
    ($($item:item)*) => {};
}
pub(crate) use at_any_address;
