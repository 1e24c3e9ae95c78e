//! The command line: what was typed, nothing more. One file a group of commands.

mod command;
mod compare;
mod run;
mod zoo;

pub use command::{Cli, Command};
pub use compare::{Ablation, CompareOptions};
pub use run::{RunOptions, StudentOptions};
pub use zoo::{AttachOptions, ZooOptions};
