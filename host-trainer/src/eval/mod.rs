//! How well a net does on a set of images.
//!
//! - [`float`]: probabilities and accuracy of a net in f32
//! - [`int8`]: answers and accuracy of a packed model, by the interpreter that the chip runs
//! - [`metrics`]: what share of the answers is right

pub(crate) mod float;
pub mod int8;
pub(crate) mod metrics;

pub(crate) use float::accuracy;
