//! Kernels for the Arm DSP extension: Cortex-M4, M7, and M33 where the chip has it.
//!
//! Each file holds one operator: assembly where the target has the instructions (`cfg(arm_dsp)`),
//! else a twin of the same blocks in plain Rust that reads the same packed layout. Each assembly
//! kernel has a safe function over slices in front, which checks every bound, and its register
//! budget in its header.

pub mod add;
pub mod clamp;
pub mod depthwise;
pub mod lookup;
pub mod pool;
mod simd;
pub mod squeeze_excite;
pub mod sums;
