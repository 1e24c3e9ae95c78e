//! One cached image anew, from the photo it was made of.

use std::path::Path;

use crate::data::cache::entry::Entry;
use crate::data::fingerprint::of_file;
use crate::data::fit::{Fit, fit};
use crate::data::load;

/// The pixels that `entry` stands for, decoded from the file at `path`.
///
/// # Errors
/// A file that is gone, unreadable or another one by now.
pub(super) fn restore(
    path: &Path,
    entry: &Entry,
    dims: [usize; 3],
    how: Fit,
) -> Result<Vec<u8>, String> {
    let told = |why: String| format!("{}: {why}", path.display());
    let pixels = load::from_file(
        path,
        |bytes| (of_file(bytes) != entry.key).then_some(None),
        |_, image| Some(fit(&image, dims, how)),
    )
    .result
    .map_err(|e| told(e.to_string()))?;
    pixels
        .filter(|p| crc32fast::hash(p) == entry.crc)
        .ok_or_else(|| told("it has changed since".into()))
}
