//! Ranges of every activation over training images: what sets the int8 scales.

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::float::{self, Place};
use super::nodes::Graph;
use crate::data::Images;
use crate::data::batch::Normalization;

/// Values seen at one place; every `SKIP`-th is kept, starting elsewhere in each image.
const SKIP: usize = 5;

/// Least and greatest value at a place, outliers clipped; 0 lies always within.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Range {
    /// Not above 0.
    pub min: f32,
    /// Not below 0.
    pub max: f32,
}

/// Runs `images` through the graph and returns each place's range, leaving out the share `clip`
/// of its values at either end.
pub(crate) fn ranges(
    graph: &Graph,
    images: &Images,
    normalization: &Normalization,
    clip: f64,
) -> BTreeMap<Place, Range> {
    let seen: Vec<BTreeMap<Place, Vec<f32>>> = (0..images.len())
        .into_par_iter()
        .map(|i| {
            let input: Vec<f32> = images
                .get(i)
                .iter()
                .map(|p| normalization.apply(*p))
                .collect();
            let mut kept: BTreeMap<Place, Vec<f32>> = BTreeMap::new();
            float::run(graph, &input, &mut |place, values| {
                let few = values.len() < 64 * SKIP;
                let (from, step) = if few { (0, 1) } else { (i % SKIP, SKIP) };
                kept.insert(
                    place,
                    values.iter().skip(from).step_by(step).copied().collect(),
                );
            });
            kept
        })
        .collect();
    let mut all: BTreeMap<Place, Vec<f32>> = BTreeMap::new();
    for map in seen {
        for (place, values) in map {
            all.entry(place).or_default().extend(values);
        }
    }
    all.into_iter()
        .map(|(place, values)| (place, clipped(values, clip)))
        .collect()
}

fn clipped(mut values: Vec<f32>, clip: f64) -> Range {
    values.sort_unstable_by(f32::total_cmp);
    let out = (values.len() as f64 * clip) as usize;
    let at = |i: usize| values.get(i).copied().unwrap_or(0.0);
    Range {
        min: at(out).min(0.0),
        max: at(values.len().saturating_sub(1 + out)).max(0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clipping_leaves_out_a_share_at_either_end_and_keeps_zero() {
        let values: Vec<f32> = (0..1000).map(|i| i as f32 - 100.0).collect();
        assert_eq!(
            clipped(values.clone(), 0.0),
            Range {
                min: -100.0,
                max: 899.0
            }
        );
        assert_eq!(
            clipped(values, 0.01),
            Range {
                min: -90.0,
                max: 889.0
            }
        );
        assert_eq!(clipped(vec![3.0, 5.0], 0.0), Range { min: 0.0, max: 5.0 });
        assert_eq!(clipped(vec![], 0.0), Range { min: 0.0, max: 0.0 });
    }
}
