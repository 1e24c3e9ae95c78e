//! What every room may use: it knows nothing of images, nets or runs.

pub mod allocator;
pub mod call;
pub mod console;
pub mod files;
pub mod hash;
pub mod limits;
pub mod numbers;
pub mod random;
pub mod regular;
pub mod statistics;
pub mod threads;
