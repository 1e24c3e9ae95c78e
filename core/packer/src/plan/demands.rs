//! What needs memory while layers run, and for how long.

use super::layout::{Demand, layout};
use super::liveness::Liveness;
use super::segment::Segment;

/// What a demand is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A whole tensor.
    Tensor(usize),
    /// The rows of the frame.
    Frame,
    /// Scratch memory of all layers of a range that run in streams, or of one layer.
    Scratch(usize),
    /// Rows of a link, or a mean's sums: first layer of the stream, layer.
    Link(usize, usize),
}

/// Bytes of an arena for these layers alone and whatever else lives while they run.
pub(super) fn local_peak(liveness: &Liveness, segment: &Segment) -> usize {
    let (demands, _) = demands(
        liveness,
        core::slice::from_ref(segment),
        segment.at..segment.end,
    );
    layout(&demands).1
}

/// Everything that lives while the layers `range`, which are those of `segments`, run.
pub(super) fn demands(
    liveness: &Liveness,
    segments: &[Segment],
    range: core::ops::Range<usize>,
) -> (Vec<Demand>, Vec<Kind>) {
    let streams = || segments.iter().flat_map(|s| &s.streams);
    let stream_of = |layer: usize| streams().find(|s| (s.at..s.end).contains(&layer));
    let first_of = |layer: usize| stream_of(layer).map_or(layer, |s| s.at);
    let last_of = |layer: usize| stream_of(layer).map_or(layer, |s| s.end - 1);
    let (mut demands, mut kinds) = (Vec::new(), Vec::new());
    let mut index = vec![None; liveness.layers() + 1];
    for t in 0..=liveness.layers() {
        let last = match t == liveness.layers() {
            true => liveness.layers() - 1,
            false => liveness.last_reader(t),
        };
        // Streams that compute layers again read their inputs again.
        let again = streams().filter(|s| s.links.iter().any(|l| liveness.reads(l.layer, t)));
        let last = again.map(|s| s.end - 1).fold(last_of(last), usize::max);
        let first = t.checked_sub(1).map_or(0, first_of);
        let frame_rows = streams().find(|s| s.frame_rows > 0).map(|s| s.frame_rows);
        if let Some(rows) = frame_rows.filter(|_| t == 0) {
            let shape = liveness.shape(0);
            demands.push(Demand {
                len: rows * shape.w * shape.c,
                first,
                last,
                replaces: None,
            });
            kinds.push(Kind::Frame);
            continue;
        }
        let rows_only = t > 0 && stream_of(t - 1).is_some_and(|s| s.end != t);
        if rows_only || last < range.start || first >= range.end {
            continue;
        }
        let replaces = t.checked_sub(1).and_then(|i| match stream_of(i) {
            Some(stream) => stream.over,
            None => liveness.replaced(i),
        });
        index[t] = Some(demands.len());
        demands.push(Demand {
            len: liveness.shape(t).len(),
            first: first.max(range.start),
            last: last.min(range.end - 1),
            replaces: replaces.and_then(|x| index[x]),
        });
        kinds.push(Kind::Tensor(t));
    }
    for segment in segments {
        let inside = |layer: &usize| {
            segment
                .streams
                .iter()
                .any(|s| (s.at..s.end).contains(layer))
        };
        let scratch = |layer: usize| liveness.scratch(layer);
        // Layers of a stream run by turns, and may share scratch memory.
        let shared = (segment.at..segment.end).filter(inside).map(scratch).max();
        if let Some(len) = shared.filter(|len| *len > 0) {
            demands.push(Demand {
                len,
                first: segment.at,
                last: segment.end - 1,
                replaces: None,
            });
            kinds.push(Kind::Scratch(segment.at));
        }
        for layer in (segment.at..segment.end).filter(|l| !inside(l) && scratch(*l) > 0) {
            demands.push(Demand {
                len: scratch(layer),
                first: layer,
                last: layer,
                replaces: None,
            });
            kinds.push(Kind::Scratch(layer));
        }
        for stream in &segment.streams {
            for link in &stream.links {
                let shape = liveness.shape(link.layer + 1);
                let mean = liveness.is_mean(link.layer);
                let len = match mean {
                    true => 4 * shape.c,
                    false => link.capacity * shape.w * shape.c,
                };
                if len > 0 {
                    demands.push(Demand {
                        len,
                        first: stream.at,
                        last: stream.end - 1,
                        replaces: None,
                    });
                    kinds.push(Kind::Link(stream.at, link.layer));
                }
            }
        }
    }
    (demands, kinds)
}
