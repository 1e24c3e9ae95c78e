//! The image cache: every photo is decoded once for each size that nets want.
//!
//! `images/HxWxC-FIT/*.pupc` are immutable [`Segment`]s keyed by the SHA-256 of each image's
//! content; adding photos adds a segment. `listings/*.json` remember size and times of files, so
//! that unchanged ones are not even read, `*.near` what searches for near copies found. Everything is written whole or not at all, and checked
//! by its checksum whenever it is read; what is damaged is thrown away and made anew. Deleting
//! the folder costs only time.

mod checked;
mod listing;
mod restore;
mod segment;
mod shelf;
mod writer;

use std::path::{Path, PathBuf};

use thiserror::Error;

pub use listing::{FileRecord, Listing, Member, Stamp};
pub use segment::{Entry, Segment, SegmentError};
pub use shelf::Shelf;
pub use writer::SegmentWriter;

use super::fit::Fit;

/// The cache can't be written.
#[derive(Debug, Error)]
#[error(
    "{path}: {source}\n  why:   decoded images are kept in a cache\n  do:    free some space, or set PUPIL_CACHE to another folder"
)]
pub struct CacheError {
    /// The file or folder.
    pub path: PathBuf,
    /// The system's reason.
    pub source: std::io::Error,
}

/// The folder of all cached images.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// At `root`.
    pub fn at(root: &Path) -> Self {
        Self { root: root.into() }
    }

    /// `PUPIL_CACHE`, else `pupil` in the user's cache folder, else in the temporary one.
    pub fn standard() -> Self {
        let set = |name| {
            std::env::var_os(name)
                .filter(|v| !v.is_empty())
                .map(PathBuf::from)
        };
        let root = set("PUPIL_CACHE")
            .or_else(|| set("XDG_CACHE_HOME").map(|p| p.join("pupil")))
            .or_else(|| set("LOCALAPPDATA").map(|p| p.join("pupil")))
            .or_else(|| set("HOME").map(|p| p.join(".cache/pupil")))
            .unwrap_or_else(|| std::env::temp_dir().join("pupil"));
        Self { root }
    }

    /// The images of one size.
    ///
    /// # Errors
    /// A folder that can't be made.
    pub fn shelf(&self, dims: [usize; 3], fit: Fit) -> Result<Shelf, CacheError> {
        let [h, w, c] = dims;
        let folder = format!("{h}x{w}x{c}-{}", fit.word());
        Shelf::open(self.root.join("images").join(folder), dims, fit)
    }

    /// What is known of the files of the source at `path`.
    pub fn listing(&self, path: &Path) -> Listing {
        Listing::open(&self.root.join("listings"), path)
    }
}
