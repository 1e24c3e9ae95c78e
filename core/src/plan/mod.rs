//! The memory plan: where each tensor lies in the arena, the exact peak, and how layers run.
//!
//! Tensors that an operator may replace share their place. Places are laid out greedily, largest
//! first, each at the lowest offset that is free during its life (`layout.rs`).
//!
//! Layers run one by one, or several of them as a stream, a few rows at a time; a
//! squeeze-and-excitation block as two streams, of which the second one computes the squeezed map
//! again. [`schedule`] chooses (`schedule.rs`) among all ways of running (`segment.rs`) by what they
//! cost (`cost.rs`), and writes the model anew (`rewrite.rs`). A [`Plan`] of a packed model says what
//! was chosen (`map.rs`).

mod cost;
mod demands;
mod layout;
mod map;
mod proposal;
mod rewrite;
mod schedule;
mod segment;
#[cfg(test)]
mod tests;

pub use cost::instructions;
pub use map::{Buffer, Run, Way};
pub use schedule::{Goal, Memory, any_schedule, schedule};

use std::vec;
use std::vec::Vec;

/// Offsets are multiples of this.
pub const ALIGNMENT: usize = 4;

/// What the planner needs to know of one tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Bytes.
    pub len: usize,
    /// Layer that writes it; the input counts as written by layer 0.
    pub first: usize,
    /// Last layer that reads it.
    pub last: usize,
    /// Tensor whose place it takes over, value by value.
    pub replaces: Option<usize>,
}

/// Offsets of all tensors, and how layers run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// One entry a tensor; without bytes where only rows of it exist.
    pub entries: Vec<Entry>,
    /// Scratch memory of the layers that have some; each lives while its layer runs.
    pub scratch: Vec<Entry>,
    /// Line buffers of streams.
    pub buffers: Vec<Buffer>,
    /// How the layers run, in order.
    pub runs: Vec<Run>,
    /// Bytes of the arena.
    pub peak: usize,
    /// Instructions of an image on a Cortex-M4: [`instructions`] of all turns.
    pub instructions: u64,
}

/// One tensor's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// First byte.
    pub offset: usize,
    /// Bytes.
    pub len: usize,
    /// First layer of its life.
    pub first: usize,
    /// Last layer of its life.
    pub last: usize,
}

impl Plan {
    /// Lays out tensors with the given demands, and scratch memory: (layer, bytes).
    pub fn new(tensors: &[Demand], scratch: &[(usize, usize)]) -> Self {
        let scratch = scratch.iter().map(|(layer, len)| Demand {
            len: *len,
            first: *layer,
            last: *layer,
            replaces: None,
        });
        let demands: Vec<Demand> = tensors.iter().copied().chain(scratch).collect();
        let (mut entries, peak) = layout::layout(&demands);
        let scratch = entries.split_off(tensors.len());
        Self {
            entries,
            scratch,
            buffers: vec![],
            runs: vec![],
            peak,
            instructions: 0,
        }
    }
}

#[cfg(test)]
mod layout_tests {
    use super::*;
    use proptest::prelude::*;

    fn demand(len: usize, first: usize, last: usize, replaces: Option<usize>) -> Demand {
        Demand {
            len,
            first,
            last,
            replaces,
        }
    }

    #[test]
    fn a_chain_needs_its_largest_neighbors_and_in_place_costs_nothing() {
        let chain = [
            demand(100, 0, 0, None),
            demand(40, 0, 1, None),
            demand(60, 1, 2, None),
        ];
        assert_eq!(Plan::new(&chain, &[]).peak, 140);
        let replaced = [demand(100, 0, 0, None), demand(100, 0, 1, Some(0))];
        let plan = Plan::new(&replaced, &[]);
        assert_eq!(
            (plan.peak, plan.entries[1].offset),
            (100, plan.entries[0].offset)
        );
        assert_eq!(plan.in_use(0), 100);
    }

    proptest! {
        #[test]
        fn no_two_living_tensors_overlap(
            sizes in prop::collection::vec((1usize..500, 0usize..4), 1..40)
        ) {
            let demands: Vec<Demand> = sizes
                .iter()
                .enumerate()
                .map(|(t, (len, life))| demand(*len, t.saturating_sub(1), t + life, None))
                .collect();
            let scratch: Vec<(usize, usize)> =
                sizes.iter().enumerate().map(|(t, (len, _))| (t, 700 - len)).collect();
            let plan = Plan::new(&demands, &scratch);
            let all: Vec<_> = plan.entries.iter().chain(&plan.scratch).collect();
            for (i, a) in all.iter().enumerate() {
                prop_assert!(a.offset % ALIGNMENT == 0 && a.offset + a.len <= plan.peak);
                for b in &all[..i] {
                    let together = a.first <= b.last && b.first <= a.last;
                    let apart = a.offset + a.len <= b.offset || b.offset + b.len <= a.offset;
                    prop_assert!(!together || apart);
                }
            }
        }
    }
}
