//! Places for memory of known size and life: greedy, largest first, lowest free offset.

use std::vec::Vec;

use super::{ALIGNMENT, Demand, Entry};

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
