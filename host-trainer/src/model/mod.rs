//! Networks: the EfficientNet family from B0 down to students of 20 k parameters.

pub mod efficientnet;
pub mod scaling;

pub use efficientnet::{EfficientNet, EfficientNetConfig};
pub use scaling::CompoundScaling;
