//! A result that is made once: what an earlier run has written is read back.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::run::record::Proof;
use crate::run::{RunDir, RunDirError};

/// The value of `file`, if an earlier run has written it.
///
/// # Errors
/// A damaged or unreadable file.
pub(crate) fn found<T: DeserializeOwned>(
    dir: &RunDir,
    file: &Path,
) -> Result<Option<T>, RunDirError> {
    file.exists().then(|| dir.read_record(file)).transpose()
}

/// Writes `value` and reads it back: what is printed now and after a resume is what the file says,
/// to the last digit.
///
/// # Errors
/// An unwritable directory.
pub(crate) fn keep<T: Serialize + DeserializeOwned>(
    dir: &RunDir,
    file: &Path,
    value: &T,
) -> Result<T, RunDirError> {
    dir.write_record(file, value, Proof::default())?;
    dir.read_record(file)
}

/// Makes a folder for such files.
///
/// # Errors
/// An unwritable directory.
pub(crate) fn folder(path: &Path) -> Result<(), RunDirError> {
    std::fs::create_dir_all(path).map_err(|source| RunDirError::Write {
        path: path.to_owned(),
        source,
    })
}
