//! One file of a source, and how it is read.

use std::path::{Path, PathBuf};

use crate::data::formats::cifar::Cifar;
use crate::data::parts::Part;

/// How a file's bytes become images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    /// The file is one image.
    Image,
    /// Its members are.
    Archive,
    /// Binary records.
    Cifar(Cifar),
    /// IDX images whose labels lie in this file.
    Idx(PathBuf),
}

/// One file of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SourceFile {
    /// Where it is.
    pub path: PathBuf,
    /// Path within the source, `/` between folders.
    pub name: String,
    /// How it is read.
    pub reader: Reader,
    /// Class by a list.
    pub label: Option<String>,
    /// Part by a list, or by the file's own name.
    pub part: Option<Part>,
}

/// A file without class or part.
pub(super) fn file(path: &Path, name: &str, reader: Reader) -> SourceFile {
    SourceFile {
        path: path.to_owned(),
        name: name.to_owned(),
        reader,
        label: None,
        part: None,
    }
}
