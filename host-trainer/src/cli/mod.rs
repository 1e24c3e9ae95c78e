//! The `pupil` command.
//!
//! - [`arguments`]: what can be typed; `usage`: what is said where it was wrong
//! - [`commands`]: what each command does; `entry`: which one is called, and the exit code

pub mod arguments;
pub mod commands;
mod entry;
mod usage;

pub use arguments::{Cli, Command};
pub use entry::main;
