//! Whole nets, from their description to the packed int8 model.
//!
//! - [`efficientnet`], [`variant`], [`scaling`]: the EfficientNet family, from B7 down to students
//!   of 20 k parameters
//! - [`blueprint`], [`layers`], [`zoo`]: small nets of other architectures, with and without
//!   squeeze-and-excitation
//! - [`classifier`], [`ensemble`]: what training and evaluation need of a net; several as one
//! - [`entries`], [`checkpoint`]: names and shapes of a net's weights, and its file
//! - [`graph`]: a trained net as a list of operators, with batch norm folded in; calibration, int8

pub mod blueprint;
pub mod checkpoint;
pub mod classifier;
pub mod efficientnet;
pub mod ensemble;
pub mod entries;
pub mod graph;
pub mod layers;
pub mod scaling;
pub mod variant;
pub mod zoo;

pub use blueprint::{Blueprint, Part};
pub use classifier::Classifier;
pub use efficientnet::{EfficientNet, EfficientNetConfig};
pub use ensemble::Ensemble;
pub use layers::Net;
pub use scaling::CompoundScaling;
pub use variant::{ImageNet, Variant};
