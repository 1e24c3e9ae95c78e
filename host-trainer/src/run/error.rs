//! What can be wrong with a run directory.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::repeat::repeat_file;

/// Trouble with a file of the run directory.
#[derive(Debug, Error)]
pub(crate) enum RunDirError {
    /// It can't be created or written.
    #[error(
        "{path}: {source}\n  why:   the run directory must be writable\n  do:    choose another with --run-dir DIR"
    )]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// It can't be read.
    #[error(
        "{path}: {source}\n  do:    make it readable, or {}",
        repeat_file(path)
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// It is no longer what this program wrote.
    #[error("{path}: damaged: {why}\n  do:    {}", repeat_file(path))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not parse.
        why: String,
    },
    /// It holds what was made with other settings.
    #[error(
        "{root} holds a {what} with other settings\n  where: {file}: {difference}\n  do:    {advice}"
    )]
    OtherSettings {
        /// The directory.
        root: PathBuf,
        /// What is made there.
        what: &'static str,
        /// The file that differs.
        file: String,
        /// Its first line that differs, there and asked for.
        difference: String,
        /// What to do.
        advice: String,
    },
    /// Another process works in it.
    #[error(
        "{path} is in use by another run\n  do:    wait for it, or choose another directory with --run-dir DIR"
    )]
    Busy {
        /// The directory.
        path: PathBuf,
    },
}

/// A checkpoint of a run that can't be read.
#[derive(Debug, Error)]
#[error("{path}: {why}\n  do:    {}", repeat_file(path))]
pub(crate) struct CheckpointError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub why: String,
}
