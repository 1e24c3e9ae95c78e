//! Trains nets of the zoo with and without squeeze-and-excitation on one small budget: several
//! seeds a net, paired, resumable.

pub mod result;
pub mod run;
pub mod train;

pub use result::{Comparison, Outcome, Spread};
pub use run::{Settings, run};
pub use train::train;
