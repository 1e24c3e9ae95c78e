//! The memory plan: where each tensor lies in the arena, and the exact peak.
//!
//! Tensors that an operator may replace share their place. Places are laid out greedily, largest
//! first, each at the lowest offset that is free during its life.

mod cost;
mod layout;
mod rewrite;
mod schedule;
mod segment;
#[cfg(test)]
mod tests;

pub use cost::instructions;
pub use schedule::{Goal, Memory, schedule};

use core::fmt;
use std::vec::Vec;

use crate::model::Model;

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

/// Offsets of all tensors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// One entry a tensor.
    pub entries: Vec<Entry>,
    /// Scratch memory of the layers that have some; each lives while its layer runs.
    pub scratch: Vec<Entry>,
    /// Bytes of the arena.
    pub peak: usize,
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
            peak,
        }
    }

    /// The plan that a packed model records.
    pub fn of(model: &Model<'_>) -> Self {
        let layers = model.layer_count();
        let entries = (0..model.tensor_count())
            .map(|t| {
                let info = model.tensor(t);
                let readers = model.layers().enumerate().filter(|(_, l)| l.reads(t));
                let last = readers.map(|(i, _)| i).last().unwrap_or(layers - 1);
                let first = t.saturating_sub(1);
                Entry {
                    offset: info.offset,
                    len: info.shape.len(),
                    first,
                    last,
                }
            })
            .collect();
        let scratch = model.layers().enumerate().filter(|(_, l)| l.scratch.1 > 0);
        let scratch = scratch.map(|(i, l)| Entry {
            offset: l.scratch.0,
            len: l.scratch.1,
            first: i,
            last: i,
        });
        Self {
            entries,
            scratch: scratch.collect(),
            peak: model.arena_len(),
        }
    }

    /// Bytes in use while layer `layer` runs.
    pub fn in_use(&self, layer: usize) -> usize {
        let alive = self
            .entries
            .iter()
            .chain(&self.scratch)
            .filter(|e| (e.first..=e.last).contains(&layer));
        let mut ranges: Vec<(usize, usize)> = alive.map(|e| (e.offset, e.offset + e.len)).collect();
        ranges.sort_unstable();
        let (mut sum, mut end) = (0, 0);
        for (from, to) in ranges {
            sum += to.saturating_sub(from.max(end));
            end = end.max(to);
        }
        sum
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "tensor   offset     size   layers")?;
        for (t, e) in self.entries.iter().enumerate() {
            writeln!(
                f,
                "{t:>6} {:>8} {:>8}   {}..{}",
                e.offset, e.len, e.first, e.last
            )?;
        }
        for e in &self.scratch {
            writeln!(
                f,
                "scratch {:>7} {:>8}   {}..{}",
                e.offset, e.len, e.first, e.last
            )?;
        }
        write!(f, "arena: {} bytes", self.peak)
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
