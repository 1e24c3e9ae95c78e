//! CIFAR-10 and CIFAR-100 in the binary version (Krizhevsky 2009, cs.toronto.edu/~kriz/cifar).
//!
//! A record is one label byte (CIFAR-10) or a coarse and a fine one (CIFAR-100), then 32x32
//! pixels of red, then green, then blue.

use std::io::Read;

use thiserror::Error;

use super::decode::Decoded;

const SIDE: usize = 32;
const PIXELS: usize = 3 * SIDE * SIDE;

/// The two layouts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cifar {
    /// One label byte, ten classes.
    Ten,
    /// Coarse and fine label bytes; the fine one is used.
    Hundred,
}

/// What can be wrong with a file.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum CifarError {
    /// Not a whole number of records.
    #[error("{found} bytes are no whole number of {record}-byte records: {rest} are left over")]
    Length {
        /// Bytes of the file.
        found: u64,
        /// Bytes of a record.
        record: usize,
        /// Bytes beyond the last whole record.
        rest: u64,
    },
    /// A label that names no class.
    #[error("record {record} has label {label}, but there are {classes} classes")]
    Label {
        /// Which record.
        record: usize,
        /// Its label.
        label: u8,
        /// Number of classes.
        classes: usize,
    },
    /// The file can't be read.
    #[error("{0}")]
    Io(String),
}

impl Cifar {
    /// Number of classes.
    pub(crate) fn classes(self) -> usize {
        match self {
            Self::Ten => 10,
            Self::Hundred => 100,
        }
    }

    fn label_bytes(self) -> usize {
        match self {
            Self::Ten => 1,
            Self::Hundred => 2,
        }
    }

    /// Number of records of a file of `length` bytes.
    ///
    /// # Errors
    /// No whole number of them, or none.
    pub(crate) fn count(self, length: u64) -> Result<u64, CifarError> {
        let record = self.label_bytes() + PIXELS;
        let rest = length % record as u64;
        if length == 0 || rest != 0 {
            return Err(CifarError::Length {
                found: length,
                record,
                rest,
            });
        }
        Ok(length / record as u64)
    }

    /// Reads `count` records one after the other: label and image of each.
    pub(crate) fn records(
        self,
        mut file: impl Read,
        count: u64,
    ) -> impl Iterator<Item = Result<(u8, Decoded), CifarError>> {
        let labels = self.label_bytes();
        let mut bytes = vec![0; labels + PIXELS];
        (0..count).map(move |record| {
            file.read_exact(&mut bytes)
                .map_err(|e| CifarError::Io(e.to_string()))?;
            let label = bytes[labels - 1];
            if usize::from(label) >= self.classes() {
                return Err(CifarError::Label {
                    record: record as usize,
                    label,
                    classes: self.classes(),
                });
            }
            let planes = &bytes[labels..];
            let pixels = (0..PIXELS).map(|i| planes[i % 3 * SIDE * SIDE + i / 3]);
            let image = Decoded {
                dims: [SIDE, SIDE, 3],
                pixels: pixels.collect(),
            };
            Ok((label, image))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(kind: Cifar, bytes: &[u8]) -> Result<Vec<(u8, Decoded)>, CifarError> {
        let count = kind.count(bytes.len() as u64)?;
        kind.records(bytes, count).collect()
    }

    #[test]
    fn planes_become_pixels_and_the_fine_label_counts() {
        let mut bytes = vec![3, 42];
        bytes.extend((0..PIXELS).map(|i| (i / 1024 * 100 + i % 5) as u8));
        let (label, image) = read(Cifar::Hundred, &bytes).unwrap().remove(0);
        assert_eq!(label, 42);
        assert_eq!(image.pixels[..6], [0, 104, 203, 1, 100, 204]);
        let error = read(Cifar::Ten, &bytes[1..]).err();
        assert!(
            matches!(error, Some(CifarError::Label { label: 42, .. })),
            "{error:?}"
        );
    }

    #[test]
    fn damage_is_told_with_numbers() {
        let error = read(Cifar::Ten, &[0; 3073 + 7]).err().unwrap();
        assert_eq!(
            error,
            CifarError::Length {
                found: 3080,
                record: 3073,
                rest: 7
            }
        );
        let mut two = vec![1; 2 * 3073];
        two[3073] = 10;
        let error = read(Cifar::Ten, &two).err().unwrap();
        assert_eq!(
            error,
            CifarError::Label {
                record: 1,
                label: 10,
                classes: 10
            }
        );
        assert!(read(Cifar::Ten, &[]).is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..7000)) {
            for kind in [Cifar::Ten, Cifar::Hundred] {
                if let Ok(records) = read(kind, &bytes) {
                    for (label, image) in records {
                        prop_assert!(usize::from(label) < kind.classes());
                        prop_assert_eq!(image.pixels.len(), PIXELS);
                    }
                }
            }
        }
    }
}
