//! MBConv (arXiv 1905.11946; inverted bottleneck of arXiv 1801.04381) as one unit.
//!
//! expand 1x1 → depthwise k x k → squeeze-and-excitation → project 1x1, linear, with batch norm
//! after each convolution; the input is added where the stride is 1 and the widths match. The
//! same function composed of small operators is `MbConv::compose`, its specification.

mod backward;
mod block;
mod evaluate;
mod forward;

pub(crate) use backward::backward;
pub(crate) use block::{PARAMETERS, Parameters, Saved, Shape};
pub(crate) use evaluate::Folded;
pub(crate) use forward::forward;
