//! Collects the layers of a model.
//!
//! `spec` has what a layer is made of, `layers` adds operators, `asked` checks what they are given,
//! `file` collects records and plans the memory.

mod asked;
mod file;
mod layers;
mod spec;

pub use layers::ModelBuilder;
pub use spec::{Channel, Conv, Depthwise, Fused, Pad, Pool, TensorId};
