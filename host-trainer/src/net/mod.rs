//! Whole nets, from their description to the packed int8 model.
//!
//! - [`efficientnet`], [`variant`], [`scaling`]: the EfficientNet family, from B7 down to students
//!   of 20 k parameters
//! - [`blueprint`], [`layers`], [`zoo`]: small nets of other architectures, with and without
//!   squeeze-and-excitation
//! - [`classifier`], [`ensemble`]: what training and evaluation need of a net; several as one
//! - [`entries`], [`checkpoint`]: names and shapes of a net's weights, and its file
//! - [`graph`]: a trained net as a list of operators, with batch norm folded in; calibration, int8

pub(crate) mod blueprint;
pub(crate) mod checkpoint;
pub(crate) mod classifier;
pub(crate) mod efficientnet;
pub(crate) mod ensemble;
pub(crate) mod entries;
pub(crate) mod graph;
pub(crate) mod layers;
pub(crate) mod scaling;
pub(crate) mod variant;
pub(crate) mod zoo;

pub(crate) use classifier::Classifier;
pub use efficientnet::{EfficientNet, EfficientNetConfig};
pub(crate) use ensemble::Ensemble;
pub(crate) use layers::Net;
pub use scaling::CompoundScaling;
pub(crate) use variant::{ImageNet, Variant};
