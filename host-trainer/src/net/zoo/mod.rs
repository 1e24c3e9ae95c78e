//! Small nets of six architectures, each with and without squeeze-and-excitation: what the part
//! costs and gains outside EfficientNet (SENet, arXiv 1709.01507, tables 2 and 6).
//!
//! One architecture a file. All are for images of 28 to 96 pixels and have 36 k to 78 k
//! parameters without squeeze-and-excitation; widths are multiples of 8, so that a ratio of 8 is
//! exact.

pub(crate) mod attach;
pub(crate) mod family;
pub(crate) mod images;
mod inception;
mod mbconv;
mod mobilenet_v1;
mod resnet;
mod resnext;
pub(crate) mod table;
#[cfg(test)]
mod tests;
mod vgg;

pub(crate) use attach::{Attach, Placement};
pub(crate) use family::Family;
pub(crate) use images::Images;
