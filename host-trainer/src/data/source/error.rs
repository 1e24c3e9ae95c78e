//! What is wrong with a path.

use std::path::PathBuf;

use thiserror::Error;

/// A path that holds no images this program can read.
#[derive(Debug, Error)]
pub(crate) enum SourceError {
    /// Nothing there, or no right to look.
    #[error("{path}: {source}\n  do:    check the path")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file of no known kind.
    #[error(
        "{path}: not a set of images\n  do:    give a folder of class folders, a .csv or .jsonl list, a .tar, .tar.xz or .tar.gz, or a folder with IDX or CIFAR binary files"
    )]
    Unknown {
        /// The file.
        path: PathBuf,
    },
    /// A folder without images.
    #[error(
        "{path}: no images in it{seen}\n  do:    give a folder whose images are PNG, JPEG, BMP, PGM or PPM files"
    )]
    Empty {
        /// The folder.
        path: PathBuf,
        /// What it has instead.
        seen: String,
    },
    /// A list with wrong lines.
    #[error("{path} has {} problem{}\n  {}", problems.len(), if problems.len() == 1 { "" } else { "s" }, problems.join("\n  "))]
    Manifest {
        /// The list.
        path: PathBuf,
        /// One a line.
        problems: Vec<String>,
    },
    /// Image files without their labels.
    #[error("{path}: its label file {wanted} is missing\n  do:    put it beside the images")]
    NoLabels {
        /// The image file.
        path: PathBuf,
        /// Name of the label file.
        wanted: String,
    },
}
