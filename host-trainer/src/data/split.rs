//! Which images are labeled, validation, unlabeled, test: fixed, class-balanced, published.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Indices into a pool of images; each list is ascending, no image is in two lists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// Trained on with labels.
    pub labeled: Vec<usize>,
    /// Labeled, never trained on.
    pub validation: Vec<usize>,
    /// Trained on without labels.
    pub unlabeled: Vec<usize>,
    /// Measured at the end.
    pub test: Vec<usize>,
}

impl Split {
    /// Draws `[labeled, validation, test]` images with equally many of each class; all others
    /// are unlabeled.
    ///
    /// # Errors
    /// The class that has too few images, with numbers.
    pub fn balanced(
        labels: &[u8],
        classes: usize,
        [labeled, validation, test]: [usize; 3],
        seed: u64,
    ) -> Result<Self, String> {
        let mut split = Self::default();
        for class in 0..classes {
            let mut members: Vec<usize> = (0..labels.len())
                .filter(|i| usize::from(labels[*i]) == class)
                .collect();
            // A stream per class, so that classes do not depend on one another.
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(class as u64);
            members.shuffle(&mut rng);
            let mut rest = members.into_iter();
            for (part, count) in [
                (&mut split.labeled, labeled / classes),
                (&mut split.validation, validation / classes),
                (&mut split.test, test / classes),
            ] {
                let before = part.len();
                part.extend(rest.by_ref().take(count));
                if part.len() - before < count {
                    return Err(format!(
                        "class {class} has too few images for {labeled} labeled, {validation} \
                         validation and {test} test images over {classes} classes"
                    ));
                }
            }
            split.unlabeled.extend(rest);
        }
        for part in [
            &mut split.labeled,
            &mut split.validation,
            &mut split.unlabeled,
            &mut split.test,
        ] {
            part.sort_unstable();
        }
        Ok(split)
    }

    /// SHA-256 of the four lists (lengths and indices as u64, little endian), hexadecimal.
    pub fn hash(&self) -> String {
        let mut sha = Sha256::new();
        for part in [&self.labeled, &self.validation, &self.unlabeled, &self.test] {
            sha.update((part.len() as u64).to_le_bytes());
            for i in part {
                sha.update((*i as u64).to_le_bytes());
            }
        }
        crate::util::hash::hex(&sha.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_balanced_disjoint_and_complete() {
        let labels: Vec<u8> = (0..300u32).map(|i| (i * 7 % 3) as u8).collect();
        let split = Split::balanced(&labels, 3, [30, 6, 60], 1).unwrap();
        let mut all: Vec<usize> = [
            &split.labeled,
            &split.validation,
            &split.unlabeled,
            &split.test,
        ]
        .into_iter()
        .flatten()
        .copied()
        .collect();
        all.sort_unstable();
        assert_eq!(all, (0..300).collect::<Vec<_>>());
        for (part, each) in [
            (&split.labeled, 10),
            (&split.validation, 2),
            (&split.test, 20),
        ] {
            for class in 0..3 {
                assert_eq!(part.iter().filter(|i| labels[**i] == class).count(), each);
            }
        }
        assert_ne!(split, Split::balanced(&labels, 3, [30, 6, 60], 2).unwrap());
    }

    #[test]
    fn a_class_that_is_too_small_is_named() {
        let error = Split::balanced(&[0, 0, 0, 1], 2, [2, 2, 2], 1).unwrap_err();
        assert!(error.starts_with("class 1 has too few"), "{error}");
    }
}
