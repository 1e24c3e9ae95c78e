//! What a run is asked to do: `run.toml`, its defaults, and what can be wrong with it.
//!
//! - [`run_config`]: the whole; `images`, `net_choice`, `stages` and `transfer` are its parts
//! - [`check`]: reading a file, and telling all that is wrong with it
//! - [`write`](mod@write): a file with a comment at every key

pub mod check;
mod defaults;
mod images;
mod net_choice;
pub mod run_config;
mod stages;
mod transfer;
pub mod write;

pub use images::{DataSource, ImagesConfig};
pub use net_choice::NetChoice;
pub use run_config::RunConfig;
pub use stages::{MemorySchedule, PseudoLabelsConfig};
