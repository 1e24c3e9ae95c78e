//! How well a net does on a set of images.
//!
//! - [`float`]: probabilities and accuracy of a net in f32
//! - [`int8`]: answers and accuracy of a packed model, by the interpreter that the chip runs
//! - [`metrics`]: what share of the answers is right

pub mod float;
pub mod int8;
pub mod metrics;

pub use float::{accuracy, probabilities};
