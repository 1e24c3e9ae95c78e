//! The trained net as a plain list of operators, batch norm folded in: what is calibrated,
//! quantized and packed. It runs in f32 here and in int8 in core.
//!
//! - [`nodes`]: the graph
//! - [`fold`], [`fold_net`]: the graph of an EfficientNet, and of a net of the zoo
//! - [`lower`]: without concatenation and grouped convolution, which the chip does not have
//! - [`float`], [`calibrate`]: the graph in f32, and the ranges of its activations
//! - [`int8`]: the packed model

pub(crate) mod calibrate;
mod cut;
pub(crate) mod float;
pub(crate) mod fold;
pub(crate) mod fold_net;
pub(crate) mod int8;
pub(crate) mod lower;
pub(crate) mod nodes;

pub(crate) use nodes::Graph;
