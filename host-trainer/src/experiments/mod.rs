//! Comparisons over several seeds. What an earlier call has finished is read back.
//!
//! - [`methods`]: ways of learning on one net and one budget
//! - [`run`](mod@run), [`train`](mod@train), [`result`]: nets of the zoo with and without
//!   squeeze-and-excitation
//! - [`recipes`]: whole runs of several configurations
//! - [`packed`], [`kept`], [`report`]: a net in int8, results on disk, and the page of a comparison

pub mod kept;
pub mod methods;
pub mod packed;
pub mod recipes;
pub mod report;
pub mod result;
pub mod run;
pub mod train;

pub use result::Spread;
pub use run::{Settings, run};
