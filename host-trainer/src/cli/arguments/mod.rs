//! The command line: what was typed, nothing more. One file a group of commands.

mod command;
mod compare;
mod run;
mod zoo;

pub(crate) use command::{Cli, Command};
pub(crate) use compare::{Ablation, CompareOptions};
pub(crate) use run::{RunOptions, StudentOptions};
pub(crate) use zoo::{AttachOptions, ZooOptions};
