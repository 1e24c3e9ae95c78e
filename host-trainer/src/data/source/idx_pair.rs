//! Which IDX files belong together: MNIST's names, with `-` or `.` before `idx`, plain or `.gz`.

use std::path::Path;

use super::error::SourceError;
use super::file::{Reader, SourceFile, file};
use crate::data::parts::Part;

/// Whether a name is that of an image file.
pub(super) fn is_images(name: &str) -> bool {
    name.contains("images") && name.contains("idx3")
}

/// The image files among `names`, each with its label file.
///
/// # Errors
/// Images whose labels are missing.
pub(super) fn files(folder: &Path, names: &[&str]) -> Result<Vec<SourceFile>, SourceError> {
    let mut files: Vec<SourceFile> = Vec::new();
    for name in names.iter().filter(|n| is_images(n)) {
        let plain = name.trim_end_matches(".gz");
        // The same images plain and packed: once is enough.
        if *name != plain && names.contains(&plain) {
            continue;
        }
        let labels = plain.replace("images", "labels").replace("idx3", "idx1");
        let found = [labels.clone(), format!("{labels}.gz")]
            .into_iter()
            .find(|l| names.contains(&l.as_str()));
        let Some(found) = found else {
            return Err(SourceError::NoLabels {
                path: folder.join(name),
                wanted: labels,
            });
        };
        let lower = plain.to_lowercase();
        let part = if lower.contains("t10k") || lower.contains("test") {
            Some(Part::Test)
        } else if lower.contains("train") {
            Some(Part::Train)
        } else {
            None
        };
        files.push(SourceFile {
            part,
            ..file(&folder.join(name), name, Reader::Idx(folder.join(found)))
        });
    }
    Ok(files)
}
