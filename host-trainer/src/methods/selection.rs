//! The images that a student learns from, by an earlier net's answers (Noisy Student step 2).
//!
//! Images below the confidence threshold are left out; then each class gets the same number: the
//! most confident ones where there are too many, repeated ones where there are too few
//! (arXiv 1911.04252, section 3.2; repeats by largest remainder, so that the result does not
//! depend on a draw).

use serde::{Deserialize, Serialize};

use crate::eval::metrics::argmax;

/// Images to train on, with the teacher's probabilities.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PseudoLabels {
    /// Index of the unlabeled image; repeated where balancing repeats.
    pub indices: Vec<usize>,
    /// Soft labels of all unlabeled images, `[images, classes]`.
    pub probabilities: Vec<f32>,
}

/// What was selected, per class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Selection {
    /// Unlabeled images.
    pub images: usize,
    /// Images whose most probable class passes the threshold.
    pub confident: usize,
    /// Confident images of each class.
    pub before: Vec<usize>,
    /// Entries of each class after balancing, repeats counted.
    pub after: Vec<usize>,
    /// Different images that remain.
    pub unique: usize,
}

/// Filters by confidence and balances; deterministic, without random numbers.
pub(crate) fn select(
    all: &[f32],
    classes: usize,
    threshold: f32,
    balance: bool,
) -> (Vec<usize>, Selection) {
    let mut members: Vec<Vec<(f32, usize)>> = vec![Vec::new(); classes];
    for (i, row) in all.chunks_exact(classes).enumerate() {
        let class = argmax(row);
        if row[class] >= threshold {
            members[class].push((row[class], i));
        }
    }
    let before: Vec<usize> = members.iter().map(Vec::len).collect();
    let confident: usize = before.iter().sum();
    let target = confident.div_ceil(classes);
    let mut indices = Vec::new();
    let mut after = vec![0; classes];
    for (class, list) in members.iter_mut().enumerate() {
        // Most confident first; equal confidence in image order.
        list.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let wanted = if balance && !list.is_empty() {
            target
        } else {
            list.len()
        };
        // Copies by largest remainder: the first (most confident) images get one more.
        indices.extend((0..wanted).map(|k| list[k % list.len()].1));
        after[class] = wanted;
    }
    indices.sort_unstable();
    let mut unique = indices.clone();
    unique.dedup();
    let summary = Selection {
        images: all.len() / classes,
        confident,
        before,
        after,
        unique: unique.len(),
    };
    (indices, summary)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of two classes with the given probability of class 1.
    fn rows(p: &[f32]) -> Vec<f32> {
        p.iter().flat_map(|p| [1.0 - p, *p]).collect()
    }

    #[test]
    fn kept_images_reach_the_threshold_and_classes_get_equally_many() {
        let all = rows(&[0.1, 0.2, 0.45, 0.05, 0.3, 0.9, 0.8]);
        let (indices, summary) = select(&all, 2, 0.7, true);
        // Class 0: images 0, 1, 3, 4 confident; class 1: 5, 6; three each.
        assert_eq!(summary.before, [4, 2]);
        assert_eq!(summary.after, [3, 3]);
        // The most confident three of class 0; both of class 1, the surer one twice.
        assert_eq!(indices, [0, 1, 3, 5, 5, 6]);
        assert_eq!(summary.unique, 5);
    }

    #[test]
    fn without_balancing_every_confident_image_stays_once() {
        let all = rows(&[0.1, 0.9, 0.2, 0.5]);
        assert_eq!(select(&all, 2, 0.7, false).0, [0, 1, 2]);
        assert_eq!(select(&all, 2, 0.0, false).0, [0, 1, 2, 3]);
    }

    #[test]
    fn a_class_nobody_belongs_to_stays_empty() {
        let (indices, summary) = select(&rows(&[0.1, 0.2]), 2, 0.5, true);
        assert_eq!((indices, summary.after), (vec![0], vec![1, 0]));
    }
}
