//! Fewer labels: which labeled images keep them.

use rand::seq::SliceRandom;
use sha2::{Digest, Sha256};

use crate::data::Dataset;
use crate::data::dataset::Labeled;
use crate::util::hash::hex;
use crate::util::random::stream;

/// `data` with `count` labels, as equally many of each class as there are; the other labeled
/// images join the unlabeled ones. With the SHA-256 of the kept indices.
///
/// A smaller count keeps a part of what a larger one keeps.
///
/// # Errors
/// More labels than there are, or fewer than classes.
pub(crate) fn with_labels(
    data: &Dataset,
    count: usize,
) -> Result<(Dataset, Vec<usize>, String), String> {
    let (set, classes) = (&data.labeled, data.classes.len());
    if count < classes || count > set.labels.len() {
        return Err(format!(
            "{count} labels: there are {} labeled images of {classes} classes; give a number from {classes} to {}",
            set.labels.len(),
            set.labels.len()
        ));
    }
    let mut members = vec![Vec::new(); classes];
    for (i, label) in set.labels.iter().enumerate() {
        members[usize::from(*label)].push(i);
    }
    for (class, list) in members.iter_mut().enumerate() {
        list.shuffle(&mut stream(0, "labels kept", class as u64));
    }
    // Round by round one of each class that has one left.
    let mut kept = Vec::with_capacity(count);
    let longest = members.iter().map(Vec::len).max().unwrap_or(0);
    for round in 0..longest {
        for list in &members {
            if let Some(i) = list.get(round).filter(|_| kept.len() < count) {
                kept.push(*i);
            }
        }
    }
    kept.sort_unstable();
    let mut sha = Sha256::new();
    kept.iter()
        .for_each(|i| sha.update((*i as u64).to_le_bytes()));
    let mut without = vec![true; set.labels.len()];
    kept.iter().for_each(|i| without[*i] = false);
    let without: Vec<usize> = (0..without.len()).filter(|i| without[*i]).collect();
    let labeled = Labeled {
        images: set.images.select(&kept),
        labels: kept.iter().map(|i| set.labels[*i]).collect(),
    };
    let unlabeled = set.images.select(&without).and(&data.unlabeled);
    let part = Dataset {
        labeled,
        unlabeled,
        ..data.clone()
    };
    Ok((part, kept, hex(&sha.finalize())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Images;

    fn data() -> Dataset {
        let labels: Vec<u8> = (0..40).map(|i| if i < 25 { 0 } else { 1 }).collect();
        Dataset {
            source: "test".into(),
            classes: vec!["a".into(), "b".into()],
            labeled: Labeled {
                images: Images::new([1, 1, 1], (0..40).collect()),
                labels,
            },
            validation: Labeled::default(),
            unlabeled: Images::new([1, 1, 1], (100..110).collect()),
            test: Labeled::default(),
        }
    }

    #[test]
    fn kept_labels_are_balanced_nested_and_nothing_is_lost() {
        let data = data();
        let (small, few, sha) = with_labels(&data, 10).unwrap();
        let (_, many, other) = with_labels(&data, 20).unwrap();
        assert!(few.iter().all(|i| many.contains(i)) && sha != other);
        for class in [0, 1] {
            let count = small.labeled.labels.iter().filter(|l| **l == class).count();
            assert_eq!(count, 5);
        }
        assert_eq!(small.unlabeled.len(), 10 + 30);
        let all: std::collections::BTreeSet<u8> = (0..small.unlabeled.len())
            .map(|i| small.unlabeled.get(i)[0])
            .chain((0..10).map(|i| small.labeled.images.get(i)[0]))
            .collect();
        assert_eq!(all.len(), 50);
        // A class that runs out leaves its share to the others.
        let (most, ..) = with_labels(&data, 38).unwrap();
        assert_eq!(most.labeled.labels.iter().filter(|l| **l == 1).count(), 15);
        assert_eq!(with_labels(&data, 40).unwrap().0.unlabeled.len(), 10);
    }

    #[test]
    fn too_few_and_too_many_are_refused() {
        for count in [0, 1, 41] {
            assert!(
                with_labels(&data(), count)
                    .unwrap_err()
                    .contains("from 2 to 40")
            );
        }
    }
}
