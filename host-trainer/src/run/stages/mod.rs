//! The six stages: each reads what earlier ones left in the run directory and adds its folder.
//!
//! - [`teacher`], [`pseudo_labels`], [`student`], [`distill`], [`quantize`], [`pack`]: the stages
//! - [`beginning`]: where the teacher's weights come from
//! - [`context`]: what every stage gets, and the training that three of them share; `members`: the
//!   same for every net of an ensemble

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
