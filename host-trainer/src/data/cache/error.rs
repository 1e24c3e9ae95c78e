//! Why the cache can't be written.

use std::path::PathBuf;

use thiserror::Error;

/// The cache can't be written.
#[derive(Debug, Error)]
#[error(
    "{path}: {source}\n  why:   decoded images are kept in a cache\n  do:    free some space, or set PUPIL_CACHE to another folder"
)]
pub(crate) struct CacheError {
    /// The file or folder.
    pub path: PathBuf,
    /// The system's reason.
    pub source: std::io::Error,
}
