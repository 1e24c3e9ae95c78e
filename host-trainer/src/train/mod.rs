//! The training loop that every stage shares, and its parts.
//!
//! - [`fit`](mod@fit): the loop; an [`Objective`] tells it what to minimize, a [`Watch`] follows it
//! - [`optimizer`], [`schedule`], [`ema`]: how weights move, how fast, and their moving average
//! - [`loss`], [`mix`]: cross-entropy and distillation; mixup and CutMix
//! - [`epoch`], [`snapshot`], [`start`]: what is kept of a training, and how it resumes

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
