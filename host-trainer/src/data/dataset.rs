//! A data set as the stages see it: labeled, validation, unlabeled, test.
//!
//! Labels of unlabeled images do not exist here: [`Dataset::from_split`] drops them.

use crate::util::hash::hex;
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::images::Images;
use super::split::Split;

/// Images with a class each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labeled {
    /// The images.
    pub images: Images,
    /// Class of each image.
    pub labels: Vec<u8>,
}

impl Labeled {
    fn select(images: &Images, labels: &[u8], indices: &[usize]) -> Self {
        Self {
            images: images.select(indices),
            labels: indices.iter().map(|i| labels[*i]).collect(),
        }
    }
}

/// Everything that a run may look at, and the test images that it may only be measured on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// Where it comes from, for reports.
    pub source: String,
    /// Name of each class.
    pub classes: Vec<String>,
    /// Trained on with labels.
    pub labeled: Labeled,
    /// Labeled, watched during training, never trained on.
    pub validation: Labeled,
    /// Trained on without labels.
    pub unlabeled: Images,
    /// Measured once, at the end.
    pub test: Labeled,
}

/// What can be wrong between images, labels and split.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum DatasetError {
    /// As many labels as images are needed.
    #[error("{images} images but {labels} labels")]
    CountMismatch {
        /// Images found.
        images: usize,
        /// Labels found.
        labels: usize,
    },
    /// A label that names no class.
    #[error("image {index} has label {label}, but there are {classes} classes (0 to {})", classes - 1)]
    UnknownClass {
        /// Which image.
        index: usize,
        /// Its label.
        label: u8,
        /// Number of classes.
        classes: usize,
    },
    /// The split names an image that does not exist.
    #[error("the split names image {index}, but there are {images}")]
    IndexOutOfRange {
        /// Named image.
        index: usize,
        /// Images found.
        images: usize,
    },
}

/// Checks that each image has a label of a known class.
///
/// # Errors
/// [`DatasetError::CountMismatch`] or [`DatasetError::UnknownClass`].
pub(crate) fn check_labels(
    images: &Images,
    labels: &[u8],
    classes: usize,
) -> Result<(), DatasetError> {
    if images.len() != labels.len() {
        return Err(DatasetError::CountMismatch {
            images: images.len(),
            labels: labels.len(),
        });
    }
    match labels.iter().position(|l| usize::from(*l) >= classes) {
        Some(index) => Err(DatasetError::UnknownClass {
            index,
            label: labels[index],
            classes,
        }),
        None => Ok(()),
    }
}

impl Dataset {
    /// Cuts one pool of images by a split. `test` replaces the split's own test images when the
    /// set brings a test split of its own.
    ///
    /// # Errors
    /// A split that names missing images.
    pub fn from_split(
        source: String,
        classes: Vec<String>,
        (images, labels): (&Images, &[u8]),
        split: &Split,
        test: Option<Labeled>,
    ) -> Result<Self, DatasetError> {
        let parts = [
            &split.labeled,
            &split.validation,
            &split.unlabeled,
            &split.test,
        ];
        if let Some(index) = parts.into_iter().flatten().find(|i| **i >= images.len()) {
            return Err(DatasetError::IndexOutOfRange {
                index: *index,
                images: images.len(),
            });
        }
        Ok(Self {
            source,
            classes,
            labeled: Labeled::select(images, labels, &split.labeled),
            validation: Labeled::select(images, labels, &split.validation),
            unlabeled: images.select(&split.unlabeled),
            test: test.unwrap_or_else(|| Labeled::select(images, labels, &split.test)),
        })
    }

    /// Height, width, channels of every image.
    pub fn dims(&self) -> [usize; 3] {
        self.labeled.images.dims
    }

    /// Mean pixel of all images that training may see, 0 to 255.
    pub fn mean_pixel(&self) -> u8 {
        let sets = [&self.labeled.images, &self.unlabeled];
        let sum: u64 = sets.iter().map(|s| s.sum()).sum();
        let count = sets
            .iter()
            .map(|s| (s.len() * s.stride()) as u64)
            .sum::<u64>();
        let count = count.max(1);
        ((sum + count / 2) / count) as u8
    }

    /// Why an image could not be read, once that has happened; results since then are void.
    pub fn failure(&self) -> Option<String> {
        [
            &self.labeled.images,
            &self.validation.images,
            &self.unlabeled,
            &self.test.images,
        ]
        .into_iter()
        .find_map(Images::failure)
    }

    /// Labeled and unlabeled images together.
    pub fn pool(&self) -> Images {
        self.labeled.images.and(&self.unlabeled)
    }

    /// SHA-256 of everything that a run may depend on, as hexadecimal digits.
    pub fn hash(&self) -> String {
        let mut sha = Sha256::new();
        for part in [&self.labeled, &self.validation, &self.test] {
            sha.update((part.labels.len() as u64).to_le_bytes());
            part.images.digest(&mut sha);
            sha.update(&part.labels);
        }
        self.unlabeled.digest(&mut sha);
        hex(&sha.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool() -> (Images, Vec<u8>, Split) {
        let images = Images::new([2, 2, 1], (0..80).collect());
        let labels: Vec<u8> = (0..20).map(|i| i % 2).collect();
        (
            images,
            labels.clone(),
            Split::balanced(&labels, 2, [4, 2, 10], 7).unwrap(),
        )
    }

    fn load(images: &Images, labels: &[u8], split: &Split) -> Dataset {
        let classes = vec!["a".into(), "b".into()];
        Dataset::from_split("toy".into(), classes, (images, labels), split, None).unwrap()
    }

    #[test]
    fn labels_of_unlabeled_images_replaced_by_noise_change_nothing() {
        let (images, labels, split) = pool();
        let mut noisy = labels.clone();
        for (k, i) in split.unlabeled.iter().enumerate() {
            noisy[*i] = (k as u8).wrapping_mul(97);
        }
        assert_ne!(noisy, labels);
        let (a, b) = (
            load(&images, &labels, &split),
            load(&images, &noisy, &split),
        );
        assert_eq!(a, b);
        assert_eq!(a.hash(), b.hash());
    }

    #[test]
    fn counts_classes_and_indices_are_checked() {
        let (images, labels, mut split) = pool();
        let error = check_labels(&images, &labels[1..], 2).unwrap_err();
        assert_eq!(error.to_string(), "20 images but 19 labels");
        assert!(matches!(
            check_labels(&images, &labels, 1),
            Err(DatasetError::UnknownClass {
                index: 1,
                label: 1,
                classes: 1
            })
        ));
        split.test[0] = 20;
        let found = Dataset::from_split("".into(), vec![], (&images, &labels), &split, None);
        assert_eq!(
            found,
            Err(DatasetError::IndexOutOfRange {
                index: 20,
                images: 20
            })
        );
    }
}
