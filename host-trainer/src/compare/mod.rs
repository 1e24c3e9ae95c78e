//! Comparisons on one budget, several seeds each, resumable: nets of the zoo with and without
//! squeeze-and-excitation, and [`methods`] of learning.

pub mod kept;
pub mod methods;
pub mod packed;
pub mod result;
pub mod run;
pub mod train;

pub use result::{Comparison, Outcome, Spread};
pub use run::{Settings, run};
pub use train::train;
