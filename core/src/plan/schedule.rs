//! The choice of schedules: the fewest instructions whose memory fits.

use std::format;
use std::vec;
use std::vec::Vec;

use super::layout::layout;
use super::rewrite::{Places, rewrite};
use super::segment::{Net, Segment};
use super::{Demand, Entry};
use crate::model::{BuildError, Model};

/// What a schedule shall be good at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Goal {
    /// One layer after the other: the fewest instructions, and nothing to decide.
    #[default]
    LayerByLayer,
    /// The fewest instructions in an arena of this many bytes.
    Within(usize),
    /// The smallest arena, whatever it costs.
    Smallest,
}

/// How a model uses memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// What the schedule shall be good at.
    pub goal: Goal,
    /// Whether the frame may be read row by row, as the camera delivers it, and need not lie in the
    /// arena as a whole.
    pub frame_by_rows: bool,
}

/// Packs a model anew with other schedules and places; its answers stay the same to the bit.
///
/// Every run of layers that can work on a few rows at a time, and every squeeze-and-excitation block
/// in two passes, is tried with bands of several heights, and counted: bytes exactly, instructions
/// as [`instructions`](super::instructions) says. Of all rows of such runs the one with the fewest
/// instructions is taken whose parts all fit.
///
/// # Errors
/// Bytes that are no packed model; an arena that no schedule fits, with the smallest that one does.
pub fn schedule(packed: &[u8], memory: Memory) -> Result<Vec<u8>, BuildError> {
    let model = Model::parse(packed)?;
    let net = Net::new(model);
    let planner = Planner::new(&net, memory.frame_by_rows);
    let plan = match memory.goal {
        Goal::LayerByLayer => planner.alone(),
        Goal::Smallest => planner.smallest(),
        Goal::Within(bytes) => match planner.within(bytes) {
            Some(choice) => choice,
            None => Some(planner.smallest())
                .filter(|smallest| smallest.peak <= bytes)
                .ok_or_else(|| too_small(bytes, planner.smallest().peak))?,
        },
    };
    let bytes = rewrite(packed, &model, &plan.segments, &plan.places, plan.peak);
    Model::parse(&bytes)?;
    Ok(bytes)
}

fn too_small(bytes: usize, smallest: usize) -> BuildError {
    BuildError(format!(
        "no schedule fits an arena of {bytes} bytes; the smallest has {smallest}"
    ))
}

/// Segments that follow one another, and where everything lies.
struct Choice {
    segments: Vec<Segment>,
    instructions: u64,
    places: Places,
    peak: usize,
}

struct Planner<'n, 'm> {
    net: &'n Net<'m>,
    /// Ways to run layers, with the memory that each takes alone.
    ways: Vec<(Segment, usize)>,
    /// Indices of ways by their first layer.
    from: Vec<Vec<usize>>,
}

impl<'n, 'm> Planner<'n, 'm> {
    fn new(net: &'n Net<'m>, rows: bool) -> Self {
        let (mut ways, mut from) = (Vec::new(), vec![Vec::new(); net.layers.len()]);
        for at in 0..net.layers.len() {
            for segment in net.segments(at, rows) {
                let peak = local_peak(net, &segment);
                from[at].push(ways.len());
                ways.push((segment, peak));
            }
        }
        Self { net, ways, from }
    }

    fn choice(&self, segments: Vec<Segment>) -> Choice {
        let (demands, kinds) = demands(self.net, &segments, 0..self.net.layers.len());
        let (entries, peak) = layout(&demands);
        Choice {
            instructions: segments.iter().map(|s| s.instructions).sum(),
            segments,
            places: Places::new(&kinds, &entries),
            peak,
        }
    }

    /// Every layer alone.
    fn alone(&self) -> Choice {
        let alone = self.from.iter().map(|f| self.ways[f[0]].0.clone());
        self.choice(alone.collect())
    }

    /// The fewest instructions of segments that take `bytes` each at most.
    fn cheapest(&self, bytes: usize) -> Option<Choice> {
        let layers = self.net.layers.len();
        // Instructions from each layer to the end, and the way that it begins with.
        let mut best: Vec<Option<(u64, usize)>> = vec![None; layers + 1];
        best[layers] = Some((0, 0));
        for at in (0..layers).rev() {
            for i in &self.from[at] {
                let (segment, peak) = &self.ways[*i];
                let Some((rest, _)) = best[segment.end].filter(|_| *peak <= bytes) else {
                    continue;
                };
                let all = rest + segment.instructions;
                if best[at].is_none_or(|(n, _)| all < n) {
                    best[at] = Some((all, *i));
                }
            }
        }
        let (mut segments, mut at) = (Vec::new(), 0);
        while at < layers {
            let segment = self.ways[best[at]?.1].0.clone();
            at = segment.end;
            segments.push(segment);
        }
        Some(self.choice(segments))
    }

    /// The memory that ways take, from the least on.
    fn peaks(&self) -> Vec<usize> {
        let mut peaks: Vec<usize> = self.ways.iter().map(|w| w.1).collect();
        peaks.sort_unstable();
        peaks.dedup();
        peaks
    }

    fn within(&self, bytes: usize) -> Option<Choice> {
        // Segments may fit one by one and leave holes together: try with less.
        let peaks = self.peaks();
        let fitting = peaks.iter().rev().filter(|p| **p <= bytes);
        fitting
            .map_while(|limit| self.cheapest(*limit))
            .find(|choice| choice.peak <= bytes)
    }

    fn smallest(&self) -> Choice {
        let peaks = self.peaks();
        let first = peaks.partition_point(|p| self.cheapest(*p).is_none());
        let tried = peaks.iter().skip(first).take(48);
        let choices = tried.filter_map(|p| self.cheapest(*p));
        let least = choices.min_by_key(|c| (c.peak, c.instructions));
        let least = least.unwrap_or_else(|| self.alone());
        self.within(least.peak).unwrap_or(least)
    }
}

/// A model with ways of running picked one after the other, whatever they cost: `pick(n)` chooses
/// one of `n`. For tests of schedules that [`schedule`] would not choose.
///
/// # Errors
/// Bytes that are no packed model.
pub fn any_schedule(
    packed: &[u8],
    rows: bool,
    mut pick: impl FnMut(usize) -> usize,
) -> Result<Vec<u8>, BuildError> {
    let model = Model::parse(packed)?;
    let net = Net::new(model);
    let planner = Planner::new(&net, rows);
    let (mut segments, mut at) = (Vec::new(), 0);
    while at < net.layers.len() {
        let ways = &planner.from[at];
        let picked = ways[pick(ways.len()).min(ways.len() - 1)];
        let segment = planner.ways[picked].0.clone();
        at = segment.end;
        segments.push(segment);
    }
    let plan = planner.choice(segments);
    let bytes = rewrite(packed, &model, &plan.segments, &plan.places, plan.peak);
    Model::parse(&bytes)?;
    Ok(bytes)
}

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
fn local_peak(net: &Net<'_>, segment: &Segment) -> usize {
    let (demands, _) = demands(net, core::slice::from_ref(segment), segment.at..segment.end);
    layout(&demands).1
}

/// Everything that lives while the layers `range`, which are those of `segments`, run.
pub(super) fn demands(
    net: &Net<'_>,
    segments: &[Segment],
    range: core::ops::Range<usize>,
) -> (Vec<Demand>, Vec<Kind>) {
    let streams = || segments.iter().flat_map(|s| &s.streams);
    let stream_of = |layer: usize| streams().find(|s| (s.at..s.end).contains(&layer));
    let first_of = |layer: usize| stream_of(layer).map_or(layer, |s| s.at);
    let last_of = |layer: usize| stream_of(layer).map_or(layer, |s| s.end - 1);
    let (mut demands, mut kinds) = (Vec::new(), Vec::new());
    let mut index = vec![None; net.layers.len() + 1];
    for t in 0..=net.layers.len() {
        let last = match t == net.layers.len() {
            true => net.layers.len() - 1,
            false => net.last_reader(t),
        };
        // Streams that compute layers again read their inputs again.
        let again = streams().filter(|s| s.links.iter().any(|l| net.layers[l.layer].reads(t)));
        let last = again.map(|s| s.end - 1).fold(last_of(last), usize::max);
        let first = t.checked_sub(1).map_or(0, first_of);
        let frame_rows = streams().find(|s| s.frame_rows > 0).map(|s| s.frame_rows);
        if let Some(rows) = frame_rows.filter(|_| t == 0) {
            let shape = net.model.tensor(0).shape;
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
            None => {
                let layer = &net.layers[i];
                let free = |x: usize, k: usize| {
                    let fits = net.model.tensor(x).shape == net.model.tensor(t).shape;
                    let gone = net.last_reader(x) == i;
                    layer.operator.works_in_place(k) && fits && gone
                };
                let second = layer.second.filter(|b| free(*b, 1));
                if free(layer.input, 0) {
                    Some(layer.input)
                } else {
                    second
                }
            }
        });
        index[t] = Some(demands.len());
        demands.push(Demand {
            len: net.len(t),
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
        let scratch = |layer: usize| net.layers[layer].scratch.1;
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
                let shape = net.model.tensor(link.layer + 1).shape;
                let mean = matches!(
                    net.layers[link.layer].operator,
                    crate::model::Operator::Mean(_)
                );
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

impl Places {
    fn new(kinds: &[Kind], entries: &[Entry]) -> Self {
        let pairs = kinds.iter().zip(entries);
        Self(pairs.map(|(kind, entry)| (*kind, entry.offset)).collect())
    }
}
