//! What a run is asked to do: `run.toml`, its defaults, and what can be wrong with it.
//!
//! - [`run_config`]: the whole; `images`, `net_choice`, `stages` and `transfer` are its parts
//! - [`check`]: reading a file, and telling all that is wrong with it
//! - [`write`](mod@write): a file with a comment at every key

pub(crate) mod check;
mod defaults;
mod images;
mod net_choice;
pub(crate) mod run_config;
mod stages;
mod transfer;
pub(crate) mod write;

pub(crate) use images::{DataSource, ImagesConfig};
pub(crate) use net_choice::NetChoice;
pub(crate) use run_config::RunConfig;
pub(crate) use stages::{MemorySchedule, PseudoLabelsConfig};
