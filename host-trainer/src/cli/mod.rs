//! The `pupil` command.
//!
//! - [`arguments`]: what can be typed; `usage`: what is said where it was wrong
//! - [`commands`]: what each command does; `entry`: which one is called, and the exit code

pub(crate) mod arguments;
pub(crate) mod commands;
mod entry;
mod usage;

pub use entry::main;
