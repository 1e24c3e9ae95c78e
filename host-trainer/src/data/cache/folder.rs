//! The folder of the cache, and what lies in it.

use std::path::{Path, PathBuf};

use super::error::CacheError;
use super::listing::Listing;
use super::shelf::Shelf;
use crate::data::fit::Fit;

/// The folder of all cached images.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    root: PathBuf,
}

impl Cache {
    /// At `root`.
    #[cfg(test)]
    pub(crate) fn at(root: &Path) -> Self {
        Self { root: root.into() }
    }

    /// `PUPIL_CACHE`, else `pupil` in the user's cache folder, else in the temporary one.
    pub(crate) fn standard() -> Self {
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
    pub(crate) fn shelf(&self, dims: [usize; 3], fit: Fit) -> Result<Shelf, CacheError> {
        let [h, w, c] = dims;
        let folder = format!("{h}x{w}x{c}-{}", fit.word());
        Shelf::open(self.root.join("images").join(folder), dims, fit)
    }

    /// What is known of the files of the source at `path`.
    pub(crate) fn listing(&self, path: &Path) -> Listing {
        Listing::open(&self.root.join("listings"), path)
    }
}
