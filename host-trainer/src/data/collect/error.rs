//! Why a source can't be read to its end.

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::data::cache::CacheError;
use crate::data::memory::{Budget, TooLarge};

/// Bytes of memory that a set takes for each image: names, checksums, places.
const PER_IMAGE: u64 = 1024;

/// A source that can't be read to its end.
#[derive(Debug, Error)]
pub(crate) enum CollectError {
    /// The cache.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// A file of many images is damaged: a part of it must not pass for the whole.
    #[error("{path}: {why}\n  do:    replace the file by a whole one")]
    Container {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A file of many images can't be read now.
    #[error("{path}: {why}\n  do:    check that it is a file that you may read")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        why: String,
    },
    /// More images than the memory can list.
    #[error(
        "{path}: {count} images: {why}\n  do:    take fewer of them, or allow the program more memory"
    )]
    Many {
        /// The source.
        path: PathBuf,
        /// Its images.
        count: u64,
        /// By how much.
        why: TooLarge,
    },
}

/// Whether so many images can be listed in memory.
pub(super) fn room_for(count: u64, path: &Path) -> Result<(), CollectError> {
    let needed = count.saturating_mul(PER_IMAGE);
    Budget::shared()
        .check(needed)
        .map_err(|why| CollectError::Many {
            path: path.to_owned(),
            count,
            why,
        })
}
