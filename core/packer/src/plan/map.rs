//! What a packed model says of its memory and its schedules.

use std::fmt;

use super::proposal::Proposal;
use super::segment::Net;
use super::{Entry, Plan};
use pupil_core::model::{Model, StreamRecord};
use pupil_core::op::Operator;

/// Rows of a tensor that exist in a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffer {
    /// The tensor.
    pub tensor: usize,
    /// Rows that are kept; 0 where they take the place of the layer's input, or are a mean's sums.
    pub rows: usize,
    /// Place and life.
    pub entry: Entry,
}

/// How layers run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// One layer alone.
    Alone,
    /// A stream, whose last layer makes this many rows at a time.
    Rows(usize),
    /// A stream that ends with the mean of a map.
    Squeeze(usize),
    /// A stream that begins with layers that have run already.
    Again(usize),
}

/// A layer or a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// First layer that runs here for the first time.
    pub first: usize,
    /// Last layer.
    pub last: usize,
    /// How they run.
    pub way: Way,
    /// First layer that runs again; `first` where none does.
    pub again: usize,
    /// Bytes in use.
    pub in_use: usize,
    /// Instructions, as the planner counts.
    pub instructions: u64,
    /// Instructions of the layers `first..=last`, one by one.
    pub alone: u64,
    /// Instructions of the longest step.
    pub longest: u64,
}

impl Plan {
    /// The plan that a packed model records.
    pub fn of(model: &Model<'_>) -> Self {
        let net = Net::new(*model);
        let mut plan = Self {
            entries: (0..model.tensor_count()).map(|t| life(&net, t)).collect(),
            scratch: scratch(&net),
            buffers: model.streams().flat_map(|s| buffers(&net, &s)).collect(),
            runs: vec![],
            peak: model.arena_len(),
            instructions: 0,
        };
        plan.runs = runs(&net, &plan);
        plan.instructions = plan.runs.iter().map(|r| r.instructions).sum();
        plan
    }

    /// Bytes in use while layer `layer` runs.
    pub fn in_use(&self, layer: usize) -> usize {
        let buffers = self.buffers.iter().map(|b| &b.entry);
        let alive = self
            .entries
            .iter()
            .chain(&self.scratch)
            .chain(buffers)
            .filter(|e| e.len > 0 && (e.first..=e.last).contains(&layer));
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

/// The layers that run together with `layer`: first and last.
fn span(net: &Net<'_>, layer: usize) -> (usize, usize) {
    let stream = net.model.stream_of(layer);
    stream.map_or((layer, layer), |s| (s.at, s.end - 1))
}

/// Place and life of a tensor.
fn life(net: &Net<'_>, t: usize) -> Entry {
    let model = &net.model;
    let (first, mut last) = match t.checked_sub(1) {
        Some(writer) => span(net, writer),
        None => (0, 0),
    };
    for reader in net.liveness.readers(t) {
        last = last.max(span(net, *reader).1);
        let again = model
            .streams()
            .filter(|s| s.links().any(|l| l.layer == *reader));
        last = again.map(|s| s.end - 1).fold(last, usize::max);
    }
    if t == net.layers.len() || net.liveness.readers(t).is_empty() && t > 0 {
        last = net.layers.len() - 1;
    }
    let info = model.tensor(t);
    let len = if model.is_streamed(t) {
        0
    } else {
        info.shape.len()
    };
    Entry {
        offset: if len > 0 { info.offset } else { 0 },
        len,
        first,
        last,
    }
}

/// Scratch memory; that of layers in streams lives as long as these.
fn scratch(net: &Net<'_>) -> Vec<Entry> {
    let mut all = Vec::new();
    for (i, layer) in net.layers.iter().enumerate() {
        let (offset, len) = layer.scratch;
        let again = net.model.streams();
        let again = again.filter(|s| s.at > i && s.links().any(|l| l.layer == i));
        let spans = std::iter::once(span(net, i)).chain(again.map(|s| (s.at, s.end - 1)));
        if len > 0 {
            all.extend(spans.map(|(first, last)| Entry {
                offset,
                len,
                first,
                last,
            }));
        }
    }
    all
}

fn buffers(net: &Net<'_>, stream: &StreamRecord<'_>) -> Vec<Buffer> {
    let entry = |offset, len| Entry {
        offset,
        len,
        first: stream.at,
        last: stream.end - 1,
    };
    let mut all = Vec::new();
    if stream.frame_rows > 0 {
        let frame = net.model.tensor(0);
        let len = stream.frame_rows * frame.shape.w * frame.shape.c;
        all.push(Buffer {
            tensor: 0,
            rows: stream.frame_rows,
            entry: entry(frame.offset, len),
        });
    }
    for link in stream.links() {
        let shape = net.model.tensor(link.layer + 1).shape;
        let mean = matches!(net.layers[link.layer].operator, Operator::Mean(_));
        let len = match mean {
            true => 4 * shape.c,
            false => link.capacity * shape.w * shape.c,
        };
        if mean || link.layer + 1 != stream.end {
            all.push(Buffer {
                tensor: link.layer + 1,
                rows: link.capacity,
                entry: entry(link.offset, len),
            });
        }
    }
    all
}

fn runs(net: &Net<'_>, plan: &Plan) -> Vec<Run> {
    let (mut all, mut layer) = (Vec::new(), 0);
    while layer < net.layers.len() {
        let alone = net.alone[layer];
        let mut run = Run {
            first: layer,
            last: layer,
            way: Way::Alone,
            again: layer,
            in_use: plan.in_use(layer),
            instructions: alone,
            alone,
            longest: alone,
        };
        if let Some(stream) = net.model.stream_of(layer) {
            run.last = stream.end - 1;
            run.alone = net.alone[layer..stream.end].iter().sum();
            let (first, band) = (stream.links().next(), stream.links().last());
            let band = band.map_or(0, |l| l.band);
            run.again = first.map_or(layer, |l| l.layer);
            run.way = match &net.layers[run.last].operator {
                _ if run.again < layer => Way::Again(band),
                Operator::Mean(_) => Way::Squeeze(band),
                _ => Way::Rows(band),
            };
            if let Some(counted) = Proposal::of(net, &stream) {
                (run.instructions, run.longest) = (counted.instructions, counted.longest);
            }
        }
        layer = run.last + 1;
        all.push(run);
    }
    all
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "tensor   offset     size   layers")?;
        for (t, e) in self.entries.iter().enumerate() {
            let (offset, size) = (e.offset, e.len);
            if size > 0 {
                writeln!(f, "{t:>6} {offset:>8} {size:>8}   {}..{}", e.first, e.last)?;
            }
            for b in self.buffers.iter().filter(|b| b.tensor == t) {
                let e = &b.entry;
                let what = match (e.len, b.rows) {
                    (0, _) => String::from("in place"),
                    (_, 0) => String::from("sums"),
                    (_, rows) => format!("{rows} rows"),
                };
                writeln!(
                    f,
                    "{t:>6} {:>8} {:>8}   {}..{}   {what}",
                    e.offset, e.len, e.first, e.last
                )?;
            }
        }
        for e in &self.scratch {
            writeln!(
                f,
                "scratch {:>7} {:>8}   {}..{}",
                e.offset, e.len, e.first, e.last
            )?;
        }
        if self.runs.iter().any(|r| r.way != Way::Alone) {
            writeln!(
                f,
                "layers     runs                    in use  instructions     extra  longest step"
            )?;
            for run in &self.runs {
                let layers = match run.last - run.first {
                    0 => format!("{}", run.first),
                    _ => format!("{}..{}", run.first, run.last),
                };
                let way = match run.way {
                    Way::Alone => String::from("alone"),
                    Way::Rows(n) => format!("{n} rows at a time"),
                    Way::Squeeze(n) => format!("squeezed, {n} rows"),
                    Way::Again(n) => format!("from {} again, {n} rows", run.again),
                };
                let extra = run.instructions as i64 - run.alone as i64;
                writeln!(
                    f,
                    "{layers:<10} {way:<22} {:>7} {:>13} {extra:>+9} {:>13}",
                    run.in_use, run.instructions, run.longest
                )?;
            }
            writeln!(
                f,
                "instructions: about {} on a Cortex-M4",
                self.instructions
            )?;
        }
        write!(f, "arena: {} bytes", self.peak)
    }
}
