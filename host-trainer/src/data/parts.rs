//! Which part an image belongs to, by its content alone: adding photos moves none of the others.

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::fingerprint::Key;

/// A part of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Part {
    /// Trained on with labels.
    Train,
    /// Watched during training.
    Validation,
    /// Measured at the end.
    Test,
    /// Trained on without labels.
    Unlabeled,
}

impl Part {
    /// The part that a folder or a list means by a word, whatever its case.
    pub(crate) fn of_word(word: &str) -> Option<Self> {
        match word.to_ascii_lowercase().as_str() {
            "train" | "training" => Some(Self::Train),
            "val" | "valid" | "validation" | "dev" => Some(Self::Validation),
            "test" | "testing" => Some(Self::Test),
            "unlabeled" | "unlabelled" => Some(Self::Unlabeled),
            _ => None,
        }
    }
}

/// A number in [0, 1) that the image's content fixes.
pub(crate) fn draw(key: &Key) -> f64 {
    let mut sha = Sha256::new();
    sha.update(b"pupil split 1");
    sha.update(key);
    let digest = sha.finalize();
    let word = digest
        .iter()
        .take(8)
        .fold(0u64, |n, b| n << 8 | u64::from(*b));
    (word >> 11) as f64 / (1u64 << 53) as f64
}

/// Assigns the images of one class: shares `test` and `validation` by their draws, the rest is
/// trained on. Returns the parts and how many images were moved because the class is so small
/// that a part would have been empty; only these may move when photos are added.
pub(crate) fn assign(draws: &[f64], validation: f64, test: f64) -> (Vec<Part>, usize) {
    let mut parts: Vec<Part> = draws
        .iter()
        .map(|d| match *d {
            d if d < test => Part::Test,
            d if d < test + validation => Part::Validation,
            _ => Part::Train,
        })
        .collect();
    let mut moved = 0;
    // Training first, then the part that decides most.
    for (part, wanted, from, to) in [
        (Part::Train, true, test + validation, 1.0),
        (Part::Test, test > 0.0, 0.0, test),
        (Part::Validation, validation > 0.0, test, test + validation),
    ] {
        if !wanted || parts.contains(&part) {
            continue;
        }
        let count = |p: Part| parts.iter().filter(|q| **q == p).count();
        let distance = |d: f64| if d < from { from - d } else { d - to };
        let nearest = (0..draws.len())
            .filter(|i| count(parts[*i]) > 1)
            .min_by(|a, b| distance(draws[*a]).total_cmp(&distance(draws[*b])));
        if let Some(i) = nearest {
            parts[i] = part;
            moved += 1;
        }
    }
    (parts, moved)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn draws(n: u32) -> Vec<f64> {
        (0..n)
            .map(|i| draw(&Sha256::digest(i.to_le_bytes()).into()))
            .collect()
    }

    #[test]
    fn shares_are_met_and_draws_are_fixed_for_ever() {
        let all = draws(20_000);
        let (parts, moved) = assign(&all, 0.2, 0.1);
        let share = |p| parts.iter().filter(|q| **q == p).count() as f64 / 20_000.0;
        assert!((share(Part::Validation) - 0.2).abs() < 0.01);
        assert!((share(Part::Test) - 0.1).abs() < 0.01);
        assert_eq!(moved, 0);
        // A change here would move images of existing projects between parts.
        assert_eq!(format!("{:.12}", draw(&[7; 32])), "0.744871849706");
    }

    #[test]
    fn a_small_class_has_an_image_in_every_part_if_it_can() {
        let (parts, moved) = assign(&[0.9, 0.8, 0.7], 0.2, 0.2);
        assert_eq!(parts, [Part::Train, Part::Validation, Part::Test]);
        assert_eq!(moved, 2);
        assert_eq!(assign(&[0.1], 0.2, 0.2), (vec![Part::Test], 0));
        assert_eq!(assign(&[], 0.2, 0.2), (vec![], 0));
    }

    proptest! {
        #[test]
        fn added_photos_move_no_other(n in 30u32..200, more in 1u32..200) {
            let all = draws(n + more);
            let (before, moved) = assign(&all[..n as usize], 0.2, 0.2);
            prop_assume!(moved == 0);
            let (after, _) = assign(&all, 0.2, 0.2);
            prop_assert_eq!(&after[..n as usize], &before[..]);
        }
    }
}
