//! Collects the layers of a model.
//!
//! `layers` adds operators, `asked` checks what they are given,
//! `file` collects records and plans the memory.

mod asked;
mod file;
mod layers;

pub use layers::ModelBuilder;
