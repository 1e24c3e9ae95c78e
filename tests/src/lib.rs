//! What no single crate can test, and the two tools beside it: `xtask` and `conformance`.

pub mod cases;
pub mod device;
pub mod fuzz;
pub mod vectors;
