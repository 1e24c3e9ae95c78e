//! The six stages: each reads what earlier ones left in the run directory and adds its folder.
//!
//! - [`teacher`], [`pseudo_labels`], [`student`], [`distill`], [`quantize`], [`pack`]: the stages
//! - [`beginning`]: where the teacher's weights come from
//! - [`context`]: what every stage gets, and the training that three of them share; `members`: the
//!   same for every net of an ensemble

pub(crate) mod beginning;
pub(crate) mod context;
pub(crate) mod distill;
mod members;
pub(crate) mod pack;
pub(crate) mod pseudo_labels;
pub(crate) mod quantize;
pub(crate) mod student;
pub(crate) mod teacher;

pub(crate) use context::{Context, StageError};
