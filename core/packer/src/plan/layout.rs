//! Places for memory of known size and life: greedy, largest first, lowest free offset.

/// Offsets are multiples of this.
pub const ALIGNMENT: usize = 4;

/// What the planner needs to know of one tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Demand {
    /// Bytes.
    pub len: usize,
    /// Layer that writes it; the input counts as written by layer 0.
    pub first: usize,
    /// Last layer that reads it.
    pub last: usize,
    /// Tensor whose place it takes over, value by value.
    pub replaces: Option<usize>,
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

/// The place of each demand, and the end of the last one.
///
/// Demands that replace one another share a place, which is as large as the largest of them.
pub(super) fn layout(demands: &[Demand]) -> (Vec<Entry>, usize) {
    let mut place_of: Vec<usize> = Vec::new();
    let mut places: Vec<Entry> = Vec::new();
    for demand in demands {
        let Demand {
            len,
            first,
            last,
            replaces,
        } = *demand;
        match replaces.and_then(|t| place_of.get(t).copied()) {
            Some(place) => {
                places[place].last = places[place].last.max(last);
                places[place].len = places[place].len.max(len);
                place_of.push(place);
            }
            None => {
                place_of.push(places.len());
                places.push(Entry {
                    offset: 0,
                    len,
                    first,
                    last,
                });
            }
        }
    }
    let mut order: Vec<usize> = (0..places.len()).collect();
    order.sort_by_key(|i| (core::cmp::Reverse(places[*i].len), *i));
    let mut laid: Vec<Entry> = Vec::new();
    for i in order {
        let mut place = places[i];
        let mut busy: Vec<&Entry> = laid
            .iter()
            .filter(|other| place.first <= other.last && other.first <= place.last)
            .collect();
        busy.sort_by_key(|other| other.offset);
        for other in busy {
            if place.offset + place.len <= other.offset {
                break;
            }
            place.offset = place
                .offset
                .max((other.offset + other.len).next_multiple_of(ALIGNMENT));
        }
        places[i] = place;
        laid.push(place);
    }
    let peak = places.iter().map(|p| p.offset + p.len).max().unwrap_or(0);
    let entries = demands
        .iter()
        .zip(place_of)
        .map(|(d, place)| Entry {
            offset: places[place].offset,
            len: d.len,
            first: d.first,
            last: d.last,
        })
        .collect();
    (entries, peak.next_multiple_of(ALIGNMENT))
}

#[cfg(test)]
mod tests {
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
        assert_eq!(layout(&chain).1, 140);
        let replaced = [demand(100, 0, 0, None), demand(100, 0, 1, Some(0))];
        let (entries, peak) = layout(&replaced);
        assert_eq!((peak, entries[1].offset), (100, entries[0].offset));
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
            let scratch = sizes.iter().enumerate().map(|(t, (len, _))| demand(700 - len, t, t, None));
            let demands: Vec<Demand> = demands.into_iter().chain(scratch).collect();
            let (all, peak) = layout(&demands);
            for (i, a) in all.iter().enumerate() {
                prop_assert!(a.offset % ALIGNMENT == 0 && a.offset + a.len <= peak);
                for b in &all[..i] {
                    let together = a.first <= b.last && b.first <= a.last;
                    let apart = a.offset + a.len <= b.offset || b.offset + b.len <= a.offset;
                    prop_assert!(!together || apart);
                }
            }
        }
    }
}
