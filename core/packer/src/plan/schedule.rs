//! The choice of schedules: the fewest instructions whose memory fits.

use super::demands::{Kind, demands, local_peak};
use super::layout::layout;
use super::liveness::Liveness;
use super::segment::{Net, Segment};
use crate::contents::{BuildError, Contents, PlacedStream, Placement};
use pupil_core::model::Model;
use pupil_core::stream::LinkRecord;

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
    // Ways that read the frame as a whole are open to a camera that delivers rows, too.
    let rows = [false, true]
        .into_iter()
        .filter(|r| !r || memory.frame_by_rows);
    let planners: Vec<Planner<'_, '_>> = rows.map(|r| Planner::new(&net, r)).collect();
    let plan = match memory.goal {
        Goal::LayerByLayer => planners[0].alone(),
        Goal::Smallest => smallest(&planners),
        Goal::Within(bytes) => {
            let fitting = planners.iter().filter_map(|p| p.within(bytes));
            match fitting.min_by_key(|c| c.instructions) {
                Some(choice) => choice,
                None => {
                    let smallest = smallest(&planners);
                    if smallest.placement.peak > bytes {
                        return Err(too_small(bytes, smallest.placement.peak));
                    }
                    smallest
                }
            }
        }
    };
    Contents::of(&model).emit(&plan.placement)
}

/// The smallest choice of all planners; of equal ones the one with the fewest instructions.
fn smallest(planners: &[Planner<'_, '_>]) -> Choice {
    let first = planners[0].alone();
    let choices = planners.iter().map(Planner::smallest);
    choices.fold(first, |a, b| {
        if (b.placement.peak, b.instructions) < (a.placement.peak, a.instructions) {
            b
        } else {
            a
        }
    })
}

fn too_small(bytes: usize, smallest: usize) -> BuildError {
    BuildError(format!(
        "no schedule fits an arena of {bytes} bytes; the smallest has {smallest}"
    ))
}

/// What segments that follow one another cost, and where everything lies.
struct Choice {
    instructions: u64,
    placement: Placement,
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
        let mut ways = Vec::new();
        let mut from = Vec::new();
        for at in 0..net.layers.len() {
            let first = ways.len();
            ways.extend(net.segments(at, rows).into_iter().map(|segment| {
                let peak = local_peak(&net.liveness, &segment);
                (segment, peak)
            }));
            from.push((first..ways.len()).collect());
        }
        Self { net, ways, from }
    }

    fn choice(&self, segments: Vec<Segment>) -> Choice {
        Choice {
            instructions: segments.iter().map(|s| s.instructions).sum(),
            placement: place(&self.net.liveness, &segments),
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
            .find(|choice| choice.placement.peak <= bytes)
    }

    fn smallest(&self) -> Choice {
        let peaks = self.peaks();
        let first = peaks.partition_point(|p| self.cheapest(*p).is_none());
        let tried = peaks.iter().skip(first).take(48);
        let choices = tried.filter_map(|p| self.cheapest(*p));
        let least = choices.min_by_key(|c| (c.placement.peak, c.instructions));
        let least = least.unwrap_or_else(|| self.alone());
        self.within(least.placement.peak).unwrap_or(least)
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
    Contents::of(&model).emit(&plan.placement)
}

/// Lays out everything that the segments need.
pub(super) fn place(liveness: &Liveness, segments: &[Segment]) -> Placement {
    let layers = liveness.layers();
    let (demands, kinds) = demands(liveness, segments, 0..layers);
    let (entries, peak) = layout(&demands);
    // 0 for what has no place.
    let offset = |kind: Kind| {
        let found = kinds.iter().zip(&entries).find(|(k, _)| **k == kind);
        found.map(|(_, entry)| entry.offset)
    };
    let tensor = |t: usize| match t {
        0 => offset(Kind::Frame).or_else(|| offset(Kind::Tensor(0))),
        t => offset(Kind::Tensor(t)),
    };
    let streams = || segments.iter().flat_map(|s| &s.streams);
    let scratch = |layer: usize| {
        if liveness.scratch(layer) == 0 {
            return 0;
        }
        // Layers of a segment's streams share theirs.
        let inside = |s: &&Segment| s.streams.iter().any(|p| (p.at..p.end).contains(&layer));
        let owner = segments.iter().find(inside).map_or(layer, |s| s.at);
        offset(Kind::Scratch(owner)).unwrap_or(0)
    };
    let placed = streams().map(|stream| PlacedStream {
        at: stream.at,
        end: stream.end,
        frame_rows: stream.frame_rows,
        links: stream
            .links
            .iter()
            .map(|link| LinkRecord {
                offset: offset(Kind::Link(stream.at, link.layer)).unwrap_or(0),
                ..*link
            })
            .collect(),
    });
    Placement {
        tensors: (0..=layers).map(|t| tensor(t).unwrap_or(0)).collect(),
        scratch: (0..layers).map(scratch).collect(),
        streams: placed.collect(),
        peak,
    }
}
