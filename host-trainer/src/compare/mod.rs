//! Trains nets of the zoo with and without squeeze-and-excitation on one small budget: several
//! seeds a net, paired, resumable.

pub mod budget;
pub mod result;
pub mod run;
pub mod train;

pub use budget::{Budget, MixKind, OptimizerKind, ScheduleKind};
pub use result::{Comparison, Outcome, Spread};
pub use run::{Settings, run};
pub use train::train;
