//! The `pupil` command: what was typed, what it does, and what is printed.

pub mod arguments;
pub mod commands;
mod entry;
mod usage;

pub use arguments::{Cli, Command};
pub use entry::main;
