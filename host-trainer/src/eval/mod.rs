//! How well a net does: its answers in f32 and in int8, and the share of them that is right.

pub mod float;
pub mod int8;
pub mod metrics;

pub use float::{accuracy, probabilities};
