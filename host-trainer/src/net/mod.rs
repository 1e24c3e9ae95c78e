//! Networks: the EfficientNet family from B7 down to students of 20 k parameters, and the zoo
//! that shows squeeze-and-excitation on other convolutional nets.

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
