//! Writes packed models: the only writer of the format. Host only.
//!
//! `spec` has what a layer is made of, `layers` adds operators, `asked` checks what they are given,
//! `packed` chooses the weights' layout, `file` plans the memory and writes the bytes.

mod asked;
mod file;
mod layers;
mod packed;
mod spec;

pub use layers::ModelBuilder;
pub use spec::{BuildError, Channel, Conv, Depthwise, Fused, Pad, Pool, TensorId, check_label};
