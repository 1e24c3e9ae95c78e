//! Comparisons over several seeds. What an earlier call has finished is read back.
//!
//! - [`methods`]: ways of learning on one net and one budget
//! - [`run`](mod@run), [`train`](mod@train), [`result`]: nets of the zoo with and without
//!   squeeze-and-excitation
//! - [`recipes`]: whole runs of several configurations
//! - [`packed`], [`kept`], [`report`]: a net in int8, results on disk, and the page of a comparison

pub(crate) mod kept;
pub(crate) mod methods;
pub(crate) mod packed;
pub(crate) mod recipes;
pub(crate) mod report;
pub(crate) mod result;
pub(crate) mod run;
pub(crate) mod train;

pub(crate) use result::Spread;
pub(crate) use run::{Settings, run};
