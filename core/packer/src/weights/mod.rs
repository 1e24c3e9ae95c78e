//! Weights in the layouts that the chip's kernels read, and the choice among them.

mod choice;
mod natural;
pub mod pairs;
pub mod row_pairs;

pub use natural::natural_weights;

pub(crate) use choice::{Packed, by_value};
