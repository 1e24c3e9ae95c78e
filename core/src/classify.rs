//! From scores to an answer.

use heapless::Vec;
#[allow(unused_imports)] // the inherent methods of std are used where there is std
use micromath::F32Ext;

/// A class and its score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Class {
    /// Index of the class.
    pub index: u16,
    /// Int8 score; greater is more probable.
    pub score: i8,
}

/// The `K` best classes, best first; of equal scores the lower index comes first.
///
/// ```
/// let best = pupil_core::classify::top_k::<2>(&[-128, 90, -52]);
/// assert_eq!((best[0].index, best[1].index), (1, 2));
/// ```
pub fn top_k<const K: usize>(scores: &[i8]) -> Vec<Class, K> {
    let mut best: Vec<Class, K> = Vec::new();
    for (index, score) in scores.iter().enumerate() {
        let at = best
            .iter()
            .position(|c| c.score < *score)
            .unwrap_or(best.len());
        if at < K {
            if best.is_full() {
                best.pop();
            }
            // There is room now: the capacity is K.
            let _ = best.insert(
                at,
                Class {
                    index: index as u16,
                    score: *score,
                },
            );
        }
    }
    best
}

/// Probability of a softmax score: (score + 128) / 256.
pub fn probability(score: i8) -> f32 {
    (f32::from(score) + 128.0) / 256.0
}

/// Uncertainty of softmax scores, 0 (sure) to 1 (all classes alike): entropy over its maximum.
/// Uses micromath's logarithm, accurate to about 1 %.
pub fn uncertainty(scores: &[i8]) -> f32 {
    if scores.len() < 2 {
        return 0.0;
    }
    let entropy: f32 = scores
        .iter()
        .map(|s| probability(*s))
        .filter(|p| *p > 0.0)
        .map(|p| -p * F32Ext::ln(p))
        .sum();
    (entropy / F32Ext::ln(scores.len() as f32)).clamp(0.0, 1.0)
}

/// What to do with a classified frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Decision {
    /// Probable enough to act on.
    Sure(Class),
    /// The best guess, below the threshold.
    Unsure(Class),
}

/// The best class, sure where its score reaches `threshold`; none without scores.
pub fn decide(scores: &[i8], threshold: i8) -> Option<Decision> {
    let best = *top_k::<1>(scores).first()?;
    Some(if best.score >= threshold {
        Decision::Sure(best)
    } else {
        Decision::Unsure(best)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn best_first_and_ties_by_index() {
        let best = top_k::<3>(&[5, 9, 9, -3, 7]);
        let found: std::vec::Vec<u16> = best.iter().map(|c| c.index).collect();
        assert_eq!(found, [1, 2, 4]);
        assert_eq!(top_k::<5>(&[1]).len(), 1);
        assert!(top_k::<0>(&[1, 2]).is_empty());
    }

    #[test]
    fn uncertainty_runs_from_zero_to_one() {
        assert!(uncertainty(&[127, -128, -128, -128]) < 0.02);
        assert!(uncertainty(&[-64, -64, -64, -64]) > 0.97);
        assert_eq!(uncertainty(&[3]), 0.0);
    }

    #[test]
    fn a_threshold_separates_sure_from_unsure() {
        assert!(matches!(decide(&[10, 20], 20), Some(Decision::Sure(c)) if c.index == 1));
        assert!(matches!(decide(&[10, 20], 21), Some(Decision::Unsure(_))));
        assert_eq!(decide(&[], 0), None);
    }
}
