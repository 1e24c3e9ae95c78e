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

pub mod artifacts;
pub mod configuration;
pub mod dir;
pub mod error;
pub mod images;
pub mod packed;
pub mod pipeline;
pub mod progress;
pub mod record;
pub mod repeat;
pub mod settings;
pub mod stage;
pub mod stages;

pub use configuration::Options;
pub use dir::RunDir;
pub use error::RunDirError;
pub use images::load_data;
pub use stage::{Stage, Which};
