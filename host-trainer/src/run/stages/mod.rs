//! The six stages: each reads what earlier ones left in the run directory and adds its folder.

pub mod beginning;
pub mod context;
pub mod distill;
mod members;
pub mod pack;
pub mod pseudo_labels;
pub mod quantize;
pub mod student;
pub mod teacher;

pub use context::{Context, StageError};
