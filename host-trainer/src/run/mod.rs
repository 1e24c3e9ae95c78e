//! One run: from the settings and the images to a packed student, in six stages that resume.
//!
//! - [`pipeline`]: runs the stages that are not done
//! - [`configuration`](mod@configuration), [`images`], [`settings`]: what was asked for, and
//!   whether an older run was asked the same
//! - [`stages`]: one file a stage
//! - [`stage`], [`repeat`]: the stages' names, and the calls that repeat them
//! - [`dir`], [`error`], [`record`], [`artifacts`]: the run directory, and proof that its files are
//!   as they were written
//! - [`packed`]: the packed student of a run, found and verified
//! - [`progress`]: the progress bar

pub(crate) mod artifacts;
pub(crate) mod configuration;
pub(crate) mod dir;
pub(crate) mod error;
pub(crate) mod images;
pub(crate) mod packed;
pub(crate) mod pipeline;
pub(crate) mod progress;
pub(crate) mod record;
pub(crate) mod repeat;
pub(crate) mod settings;
pub(crate) mod stage;
pub(crate) mod stages;

pub(crate) use configuration::Options;
pub(crate) use dir::RunDir;
pub(crate) use error::RunDirError;
pub(crate) use images::load_data;
pub(crate) use stage::{Stage, Which};
