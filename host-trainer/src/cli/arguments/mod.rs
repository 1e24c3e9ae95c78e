//! The command line: what was typed, nothing more. One file a group of commands.

mod command;
mod compare;
mod run;
mod zoo;

pub use command::{Cli, Command};
pub use compare::{Ablation, CompareOptions, TrainingOptions};
pub use run::{RunOptions, StageOptions, StudentOptions};
pub use zoo::{AttachOptions, ZooOptions};
