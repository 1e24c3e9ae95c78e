//! The training loop that every stage shares, and its parts.
//!
//! - [`fit`](mod@fit): the loop; an [`Objective`] tells it what to minimize, a [`Watch`] follows it
//! - [`optimizer`], [`schedule`], [`ema`]: how weights move, how fast, and their moving average
//! - [`loss`], [`mix`]: cross-entropy and distillation; mixup and CutMix
//! - [`epoch`], [`snapshot`], [`start`]: what is kept of a training, and how it resumes

pub(crate) mod ema;
pub(crate) mod epoch;
pub(crate) mod fit;
pub mod loss;
pub(crate) mod mix;
pub mod optimizer;
pub(crate) mod schedule;
pub(crate) mod snapshot;
pub(crate) mod start;

pub use ema::Ema;
pub(crate) use epoch::Epoch;
pub(crate) use fit::{FitConfig, FitError, Fitted, Objective, Watch, fit};
pub(crate) use optimizer::OptimizerKind;
pub(crate) use schedule::Schedule;
pub(crate) use snapshot::{Snapshot, Snapshots};
pub(crate) use start::Start;
