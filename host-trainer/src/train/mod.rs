//! The training loop that every stage shares, and its parts.

pub mod ema;
pub mod epoch;
pub mod fit;
pub mod loss;
pub mod mix;
pub mod optimizer;
pub mod schedule;
pub mod snapshot;
pub mod start;

pub use ema::Ema;
pub use epoch::Epoch;
pub use fit::{FitConfig, FitError, Fitted, Objective, Watch, fit};
pub use optimizer::{ModuleOptimizer, OptimizerConfig, OptimizerKind};
pub use schedule::Schedule;
pub use snapshot::{Snapshot, Snapshots};
pub use start::Start;
