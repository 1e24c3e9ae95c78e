//! Fashion-MNIST (Zalando, MIT): the bundled 10,000 test images, or the full set from a folder.
//!
//! Bundled, the official test images are the whole pool: 800 labeled, 200 validation, 7,000
//! unlabeled and 2,000 test images by the published split. The full set takes its labeled,
//! validation and unlabeled images from the 60,000 and is measured on the official test images.

use std::path::{Path, PathBuf};

use thiserror::Error;

use super::dataset::{Dataset, DatasetError, Labeled, check_labels};
use super::idx::{self, Idx, IdxError};
use super::images::Images;
use super::split::Split;

const IMAGES: &[u8] = include_bytes!("../../data/fashion-mnist/t10k-images-idx3-ubyte.gz");
const LABELS: &[u8] = include_bytes!("../../data/fashion-mnist/t10k-labels-idx1-ubyte.gz");
const SPLIT: &str = include_str!("../../data/fashion-mnist/split.json");

/// SHA-256 of the published split of the bundled images.
pub const SPLIT_SHA256: &str = include_str!("../../data/fashion-mnist/split.sha256");

/// Seed of both splits.
const SPLIT_SEED: u64 = 20_200_523;

/// Where Debian's `dataset-fashion-mnist` puts the full set.
pub const DEBIAN_FOLDER: &str = "/usr/share/datasets/fashion-mnist";

/// The ten classes.
pub const CLASSES: [&str; 10] = [
    "t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot",
];

/// A data set that can't be loaded: which file, and why.
#[derive(Debug, Error)]
pub enum LoadError {
    /// One IDX file.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: IdxError,
    },
    /// Two files that do not belong together.
    #[error("{images} and {labels}: {source}")]
    Pair {
        /// The image file.
        images: PathBuf,
        /// The label file.
        labels: PathBuf,
        /// What does not match.
        source: DatasetError,
    },
    /// Neither `NAME` nor `NAME.gz` is there.
    #[error("{folder}: {name} (or {name}.gz) is missing")]
    Missing {
        /// Searched folder.
        folder: PathBuf,
        /// Name of the plain file.
        name: &'static str,
    },
    /// The published split does not fit the data, or a set is too small for one.
    #[error("the split does not fit the data: {0}")]
    Split(String),
}

/// Whether `folder` holds the full set: its official test labels are the bundled ones. Where
/// these are missing or damaged, the training images of a folder named after the set count.
pub fn is_in(folder: &Path) -> bool {
    let bundled = || idx::parse(LABELS, 1, "labels");
    let found = find(folder, "t10k-labels-idx1-ubyte").map(|path| {
        let labels = idx::open(&path, 1, "labels")?;
        // Another set's file may be of any length.
        let same = labels.dims == bundled()?.dims;
        same.then(|| labels.all()).transpose()
    });
    match found {
        Ok(Ok(labels)) => labels.is_some_and(|l| bundled().is_ok_and(|b| b == l)),
        _ => {
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            name.to_lowercase().contains("fashion")
                && find(folder, "train-images-idx3-ubyte").is_ok()
        }
    }
}

fn class_names() -> Vec<String> {
    CLASSES.map(str::to_owned).to_vec()
}

fn to_images(idx: Idx) -> Images {
    Images::new([idx.dims[1], idx.dims[2], 1], idx.values)
}

/// The bundled images and their published split.
///
/// # Errors
/// Only if the repository's files were changed.
pub fn bundled() -> Result<Dataset, LoadError> {
    let (images, labels) = bundled_pool()?;
    let split: Split = serde_json::from_str(SPLIT).map_err(|e| LoadError::Split(e.to_string()))?;
    if split.hash() != SPLIT_SHA256.trim() {
        return Err(LoadError::Split(format!(
            "SHA-256 is {}, not the published one",
            split.hash()
        )));
    }
    let source = "Fashion-MNIST, bundled 10,000 images".to_owned();
    Dataset::from_split(source, class_names(), (&images, &labels), &split, None)
        .map_err(|e| LoadError::Split(e.to_string()))
}

fn bundled_pool() -> Result<(Images, Vec<u8>), LoadError> {
    let file = |path: &str, source| LoadError::File {
        path: path.into(),
        source,
    };
    let images = idx::parse(IMAGES, 3, "images").map_err(|e| file("bundled images", e))?;
    let labels = idx::parse(LABELS, 1, "labels").map_err(|e| file("bundled labels", e))?;
    Ok((to_images(images), labels.values))
}

/// The split that the repository publishes, drawn anew from the bundled labels.
///
/// # Errors
/// As [`bundled`].
pub fn draw_split() -> Result<Split, LoadError> {
    let (_, labels) = bundled_pool()?;
    Split::balanced(&labels, 10, [800, 200, 2000], SPLIT_SEED).map_err(LoadError::Split)
}

/// The full set from the four IDX files (plain or .gz) in `folder`: 1,000 labeled, 200
/// validation, the other training images unlabeled, the official test images.
///
/// # Errors
/// The file and what is wrong with it.
pub fn folder(folder: &Path) -> Result<Dataset, LoadError> {
    let (images, labels) = pair(folder, "train-images-idx3-ubyte", "train-labels-idx1-ubyte")?;
    let (test, test_labels) = pair(folder, "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")?;
    if test.dims != images.dims {
        return Err(LoadError::Split(format!(
            "training images are {:?}, test images {:?} (height, width, channels)",
            images.dims, test.dims
        )));
    }
    let split =
        Split::balanced(&labels, 10, [1000, 200, 0], SPLIT_SEED).map_err(LoadError::Split)?;
    let source = format!(
        "Fashion-MNIST, {} images in {}",
        images.len(),
        folder.display()
    );
    let test = Labeled {
        images: test,
        labels: test_labels,
    };
    Dataset::from_split(
        source,
        class_names(),
        (&images, &labels),
        &split,
        Some(test),
    )
    .map_err(|e| LoadError::Split(e.to_string()))
}

fn pair(
    folder: &Path,
    images: &'static str,
    labels: &'static str,
) -> Result<(Images, Vec<u8>), LoadError> {
    let (images_path, labels_path) = (find(folder, images)?, find(folder, labels)?);
    let read = |path: &PathBuf, rank, wanted| {
        idx::read(path, rank, wanted).map_err(|source| LoadError::File {
            path: path.clone(),
            source,
        })
    };
    let images = to_images(read(&images_path, 3, "images")?);
    let labels = read(&labels_path, 1, "labels")?.values;
    check_labels(&images, &labels, CLASSES.len()).map_err(|source| LoadError::Pair {
        images: images_path,
        labels: labels_path,
        source,
    })?;
    Ok((images, labels))
}

fn find(folder: &Path, name: &'static str) -> Result<PathBuf, LoadError> {
    [folder.join(format!("{name}.gz")), folder.join(name)]
        .into_iter()
        .find(|p| p.is_file())
        .ok_or_else(|| LoadError::Missing {
            folder: folder.to_owned(),
            name,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_split_is_the_drawn_one() {
        let drawn = draw_split().unwrap();
        let published: Split = serde_json::from_str(SPLIT).unwrap();
        assert_eq!(drawn, published);
        assert_eq!(published.hash(), SPLIT_SHA256.trim());
    }

    #[test]
    fn the_bundled_set_has_the_published_sizes() {
        let data = bundled().unwrap();
        assert_eq!(data.labeled.labels.len(), 800);
        assert_eq!(data.validation.labels.len(), 200);
        assert_eq!(data.unlabeled.len(), 7000);
        assert_eq!(data.test.labels.len(), 2000);
        assert_eq!(data.dims(), [28, 28, 1]);
    }

    #[test]
    fn a_folder_is_read_plain_or_packed_and_brings_its_own_test_split() {
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in [
            ("train-images-idx3-ubyte.gz", IMAGES),
            ("train-labels-idx1-ubyte.gz", LABELS),
            ("t10k-images-idx3-ubyte.gz", IMAGES),
            ("t10k-labels-idx1-ubyte.gz", LABELS),
        ] {
            std::fs::write(dir.path().join(name), bytes).unwrap();
        }
        assert!(is_in(dir.path()) && !is_in(Path::new("fashion.tar.xz")));
        let data = folder(dir.path()).unwrap();
        let sizes = [
            data.labeled.labels.len(),
            data.validation.labels.len(),
            data.unlabeled.len(),
        ];
        assert_eq!(sizes, [1000, 200, 8800]);
        assert_eq!(data.test.labels.len(), 10_000);
    }

    #[test]
    fn missing_and_mismatched_files_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let text = folder(dir.path()).unwrap_err().to_string();
        assert!(text.contains("train-images-idx3-ubyte"), "{text}");
        let write =
            |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).unwrap();
        write(
            "train-images-idx3-ubyte",
            &[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 9, 9],
        );
        write(
            "train-labels-idx1-ubyte",
            &[0, 0, 8, 1, 0, 0, 0, 3, 1, 2, 3],
        );
        let text = folder(dir.path()).unwrap_err().to_string();
        assert!(text.contains("2 images but 3 labels"), "{text}");
        write(
            "train-labels-idx1-ubyte",
            &[0, 0, 8, 3, 0, 0, 0, 3, 1, 2, 3],
        );
        let text = folder(dir.path()).unwrap_err().to_string();
        assert!(text.contains("not an IDX file of labels"), "{text}");
    }
}
