//! A run: its directory, its stages, and what they leave for each other.

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

pub use configuration::{Options, configuration};
pub use dir::{RunDir, SETTINGS};
pub use error::RunDirError;
pub use images::load_data;
pub use stage::{Stage, Which};
