//! Comparisons, several seeds each, resumable: nets of the zoo with and without
//! squeeze-and-excitation and [`methods`] of learning on one budget, and whole [`recipes`].

pub mod kept;
pub mod methods;
pub mod packed;
pub mod recipes;
pub mod report;
pub mod result;
pub mod run;
pub mod train;

pub use result::{Comparison, Outcome, Spread};
pub use run::{Settings, run};
pub use train::train;
