//! What a path holds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::cifar_files::{cifar_files, cifar_names};
use super::error::SourceError;
use super::file::{Reader, SourceFile, file};
use super::others::{counts, extension};
use super::{idx_pair, walk};
use crate::data::formats::cifar::Cifar;
use crate::data::formats::{archive, decode, manifest};
use crate::data::memory::Budget;
use crate::data::parts::Part;
use crate::util::regular;

/// How a source is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Folders named as classes, or a plain folder of unlabeled images.
    Folder,
    /// `.tar`, `.tar.xz`, `.tar.gz` of such folders.
    Archive,
    /// A CSV or JSON-lines list.
    Manifest,
    /// CIFAR-10 or CIFAR-100 binary files.
    Cifar,
    /// IDX files, as MNIST's.
    Idx,
}

impl Form {
    /// For reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Folder => "folder of images",
            Self::Archive => "archive of image folders",
            Self::Manifest => "list of images",
            Self::Cifar => "CIFAR binary files",
            Self::Idx => "IDX files",
        }
    }
}

/// Everything that a path holds.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// As given.
    pub path: PathBuf,
    /// How it is laid out.
    pub form: Form,
    /// Files to read, in a fixed order.
    pub files: Vec<SourceFile>,
    /// Files that are passed over, by extension.
    pub others: BTreeMap<String, usize>,
    /// Folders without any file.
    pub empty: Vec<String>,
    /// Class names of numbered labels.
    pub classes: Vec<String>,
}

impl Source {
    /// Looks what `path` is. Reads names, lists and label names, no image.
    ///
    /// # Errors
    /// Any [`SourceError`].
    pub(crate) fn open(path: &Path) -> Result<Self, SourceError> {
        let io = |source| SourceError::Io {
            path: path.to_owned(),
            source,
        };
        let data = std::fs::metadata(path).map_err(io)?;
        // A list as it lies in the file, and its rows.
        let list = || regular::read(path, Budget::shared().limit() / 8).map_err(io);
        if data.is_dir() {
            return Self::folder(path);
        }
        let name = path
            .file_name()
            .map(|n| n.to_string_lossy().to_lowercase())
            .unwrap_or_default();
        if archive::is_archive_name(&name) {
            let reader = Reader::Archive;
            return Ok(Self::new(path, Form::Archive, vec![file(path, "", reader)]));
        }
        let rows = if name.ends_with(".csv") {
            manifest::csv(&list()?)
        } else if [".jsonl", ".ndjson", ".json"]
            .iter()
            .any(|e| name.ends_with(e))
        {
            manifest::json_lines(&list()?)
        } else {
            return Err(SourceError::Unknown { path: path.into() });
        };
        let wrong = |problems| SourceError::Manifest {
            path: path.to_owned(),
            problems,
        };
        let base = path.parent().unwrap_or(Path::new("."));
        let (mut files, mut problems) = (Vec::new(), Vec::new());
        for row in rows.map_err(wrong)? {
            let part = row.split.as_deref().map(|word| (word, Part::of_word(word)));
            if let Some((word, None)) = part {
                problems.push(format!(
                    "line {}: split `{word}` is none of train, validation, test, unlabeled",
                    row.line
                ));
            }
            files.push(SourceFile {
                path: base.join(&row.path),
                name: row.path,
                reader: Reader::Image,
                label: row.label,
                part: part.and_then(|(_, part)| part),
            });
        }
        if problems.is_empty() {
            Ok(Self::new(path, Form::Manifest, files))
        } else {
            Err(wrong(problems))
        }
    }

    fn new(path: &Path, form: Form, files: Vec<SourceFile>) -> Self {
        Self {
            path: path.to_owned(),
            form,
            files,
            others: BTreeMap::new(),
            empty: Vec::new(),
            classes: Vec::new(),
        }
    }

    fn folder(path: &Path) -> Result<Self, SourceError> {
        let walk::Walked {
            files: walked,
            empty,
        } = walk::walk(path)?;
        let top: Vec<&str> = walked
            .iter()
            .map(String::as_str)
            .filter(|n| !n.contains('/'))
            .collect();
        // An archive's own folder around the files, as cifar-10-batches-bin.
        if top.is_empty()
            && let Some((first, _)) = walked.first().and_then(|n| n.split_once('/'))
            && walked.iter().all(|n| n.split('/').next() == Some(first))
            && walked.iter().all(|n| n.matches('/').count() == 1)
            && (walked.iter().any(|n| n.ends_with(".bin"))
                || walked.iter().any(|n| n.contains("idx3")))
        {
            return Self::folder(&path.join(first));
        }
        if let Some(files) = cifar_files(path, &top) {
            let hundred = files
                .iter()
                .any(|f| f.reader == Reader::Cifar(Cifar::Hundred));
            let mut source = Self::new(path, Form::Cifar, files);
            source.classes = cifar_names(path, hundred);
            return Ok(source);
        }
        if top.iter().any(|n| idx_pair::is_images(n)) {
            let mut source = Self::new(path, Form::Idx, idx_pair::files(path, &top)?);
            source.classes = (0..256).map(|i| i.to_string()).collect();
            return Ok(source);
        }
        let mut source = Self::new(path, Form::Folder, Vec::new());
        source.empty = empty;
        for name in &walked {
            if decode::is_image_name(name) {
                source
                    .files
                    .push(file(&path.join(name), name, Reader::Image));
            } else {
                *source.others.entry(extension(name)).or_default() += 1;
            }
        }
        if source.files.is_empty() {
            let seen = match source.others.values().sum::<usize>() {
                0 => ", it is empty".to_owned(),
                n => format!(", only {n} other files: {}", counts(&source.others)),
            };
            return Err(SourceError::Empty {
                path: path.into(),
                seen,
            });
        }
        Ok(source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make(folder: &Path, files: &[&str]) {
        for name in files {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, b"").unwrap();
        }
    }

    #[test]
    fn a_path_is_told_by_what_it_holds() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        make(
            root,
            &[
                "a/cat/1.JPG",
                "a/dog/2.png",
                "a/notes.txt",
                "a/.hidden/3.png",
                "b/in/data_batch_1.bin",
            ],
        );
        make(
            root,
            &[
                "b/in/test_batch.bin",
                "c/train-images-idx3-ubyte.gz",
                "c/train-labels-idx1-ubyte.gz",
            ],
        );
        make(
            root,
            &["d/train-images.idx3-ubyte", "e/readme.md", "f/x.tar.xz"],
        );
        let open = |name: &str| Source::open(&root.join(name));
        let a = open("a").unwrap();
        let names: Vec<&str> = a.files.iter().map(|f| f.name.as_str()).collect();
        assert_eq!(
            (a.form, names),
            (Form::Folder, vec!["cat/1.JPG", "dog/2.png"])
        );
        assert_eq!(counts(&a.others), "1 .txt");
        let b = open("b").unwrap();
        assert_eq!(
            (b.form, b.files.len(), b.files[1].part),
            (Form::Cifar, 2, Some(Part::Test))
        );
        assert_eq!(b.classes[3], "cat");
        assert_eq!(open("c").unwrap().form, Form::Idx);
        let text = open("d").unwrap_err().to_string();
        assert!(
            text.contains("train-labels.idx1-ubyte is missing"),
            "{text}"
        );
        let text = open("e").unwrap_err().to_string();
        assert!(
            text.contains("no images in it, only 1 other files: 1 .md"),
            "{text}"
        );
        assert_eq!(open("f/x.tar.xz").unwrap().form, Form::Archive);
        assert!(matches!(
            open("e/readme.md"),
            Err(SourceError::Unknown { .. })
        ));
        assert!(matches!(open("nowhere"), Err(SourceError::Io { .. })));
    }

    #[test]
    fn a_list_names_files_classes_and_parts() {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("list.csv");
        std::fs::write(&list, "path,label,split\nx/1.png,cat,valid\n2.png,,\n").unwrap();
        let source = Source::open(&list).unwrap();
        assert_eq!(source.files[0].path, folder.path().join("x/1.png"));
        assert_eq!(source.files[0].part, Some(Part::Validation));
        assert_eq!(source.files[1].label, None);
        std::fs::write(&list, "path,split\na.png,tset\nb.png,dev2\n").unwrap();
        let text = Source::open(&list).unwrap_err().to_string();
        assert!(
            text.contains("2 problems") && text.contains("line 3: split `dev2`"),
            "{text}"
        );
    }
}
