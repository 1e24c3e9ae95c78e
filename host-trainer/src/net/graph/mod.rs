//! The trained net as a plain list of operators, batch norm folded in: what is calibrated,
//! quantized and packed. It runs in f32 here and in int8 in core.
//!
//! - [`nodes`]: the graph
//! - [`fold`], [`fold_net`]: the graph of an EfficientNet, and of a net of the zoo
//! - [`lower`]: without concatenation and grouped convolution, which the chip does not have
//! - [`float`], [`calibrate`]: the graph in f32, and the ranges of its activations
//! - [`int8`]: the packed model

pub mod calibrate;
mod cut;
pub mod float;
pub mod fold;
pub mod fold_net;
pub mod int8;
pub mod lower;
pub mod nodes;

pub use nodes::Graph;
