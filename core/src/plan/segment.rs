//! A run of layers and a way to run it: alone, as a stream, or as two passes with a squeeze between.

use std::vec;
use std::vec::Vec;

use super::cost;
use crate::model::{Layer, LinkRecord, Model, Operator, StreamRecord};
use crate::stream::{FRAME, LinkShape, MAX_LINKS, Stream};

/// A stream that the planner proposes.
#[derive(Clone, Debug)]
pub(super) struct Proposal {
    pub at: usize,
    pub end: usize,
    /// Rows of the frame that are kept; 0 for all.
    pub frame_rows: usize,
    pub links: Vec<LinkRecord>,
    /// Instructions of all turns.
    pub instructions: u64,
    /// Instructions of the longest turn.
    pub longest: u64,
    /// A tensor that the output may begin at the place of.
    pub over: Option<usize>,
}

impl Proposal {
    /// A stream that a model has, counted.
    pub fn of(net: &Net<'_>, stream: &StreamRecord<'_>) -> Option<Self> {
        let links: Vec<LinkRecord> = stream.links().collect();
        let shapes: Vec<LinkShape> = links
            .iter()
            .map(|l| LinkShape::of(&net.model, l.layer))
            .collect();
        let mut proposal = Self {
            at: stream.at,
            end: stream.end,
            frame_rows: stream.frame_rows,
            links,
            instructions: 0,
            longest: 0,
            over: None,
        };
        net.count(&mut proposal, &shapes)?;
        Some(proposal)
    }
}

/// Layers `at..end` and how they run.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub at: usize,
    pub end: usize,
    /// None: one layer alone. One: a stream. Two: with layers alone between them.
    pub streams: Vec<Proposal>,
    pub instructions: u64,
}

/// What the planner asks of a model again and again.
pub(super) struct Net<'m> {
    pub model: Model<'m>,
    pub layers: Vec<Layer<'m>>,
    /// Readers of each tensor.
    pub readers: Vec<Vec<usize>>,
    /// Instructions of each layer alone.
    pub alone: Vec<u64>,
}

impl<'m> Net<'m> {
    pub fn new(model: Model<'m>) -> Self {
        let layers: Vec<Layer<'m>> = model.layers().collect();
        let mut readers = vec![Vec::new(); layers.len() + 1];
        for (i, layer) in layers.iter().enumerate() {
            readers[layer.input].push(i);
            if let Some(second) = layer.second.filter(|s| *s != layer.input) {
                readers[second].push(i);
            }
        }
        let alone = layers
            .iter()
            .map(|l| {
                let values = model.tensor(l.output).shape.len();
                cost::STEP + cost::instructions(&l.operator) + cost::by_value(&l.operator, values)
            })
            .collect();
        Self {
            model,
            layers,
            readers,
            alone,
        }
    }

    pub fn len(&self, tensor: usize) -> usize {
        self.model.tensor(tensor).shape.len()
    }

    /// Last layer that reads a tensor; the layer that writes it where none does, the number of
    /// layers for the scores.
    pub fn last_reader(&self, tensor: usize) -> usize {
        if tensor == self.layers.len() {
            return tensor;
        }
        let writer = tensor.saturating_sub(1);
        self.readers[tensor].last().copied().unwrap_or(writer)
    }

    /// All ways of running the layers from `at` on, with any end.
    pub fn segments(&self, at: usize, rows: bool) -> Vec<Segment> {
        let mut all = vec![Segment {
            at,
            end: at + 1,
            streams: vec![],
            instructions: self.alone[at],
        }];
        for end in at + 1..=self.layers.len().min(at + MAX_LINKS) {
            if !self.streams(end - 1) {
                break;
            }
            // A single layer gains by a stream only where the frame comes in rows.
            if end > at + 1 || at == 0 && rows {
                all.extend(self.stream(at, end, rows));
            }
            if let Operator::Mean(_) = self.layers[end - 1].operator {
                all.extend(self.two_passes(at, end - 1));
                break;
            }
        }
        all
    }

    /// Whether a layer can run a few rows at a time.
    fn streams(&self, layer: usize) -> bool {
        !matches!(
            self.layers[layer].operator,
            Operator::Dense(_) | Operator::Softmax(_)
        )
    }

    /// The layers `at..end` as a stream, with bands of several heights.
    fn stream(&self, at: usize, end: usize, rows: bool) -> Vec<Segment> {
        let layers: Vec<usize> = (at..end).collect();
        let inside = |layer: usize| (at..end).contains(&layer);
        let closed = (at + 1..end).all(|t| self.readers[t].iter().all(|r| inside(*r)));
        if !closed || !self.is_chain(&layers, at) {
            return vec![];
        }
        let frame = at == 0 && rows && self.readers[0].iter().all(|r| inside(*r));
        let mut found = Vec::new();
        for band in bands(self.rows(end - 1)) {
            let Some(stream) = self.propose(at, end, &layers, band, frame) else {
                continue;
            };
            found.push(Segment {
                at,
                end,
                instructions: stream.instructions,
                streams: vec![stream],
            });
        }
        found
    }

    /// A block whose depthwise map is squeezed by the mean at layer `mean`: the first pass ends with
    /// it, the second one begins with the multiplication.
    fn two_passes(&self, at: usize, mean: usize) -> Vec<Segment> {
        let map = self.layers[mean].input;
        let gated = self.readers[map]
            .iter()
            .copied()
            .find(|r| *r > mean && matches!(self.layers[*r].operator, Operator::Mul(_)));
        let Some(mul) = gated.filter(|_| map > at) else {
            return vec![];
        };
        let alone: u64 = self.alone[mean + 1..mul].iter().sum();
        let mut found = Vec::new();
        for end in mul + 1..=self.layers.len() {
            if !self.streams(end - 1) || end - mul + mean - at > MAX_LINKS {
                break;
            }
            let first = |l: &usize| (at..=mean).contains(l);
            let second = |l: &usize| (at..mean).contains(l) || (mul..end).contains(l);
            let closed = (at + 1..=mean)
                .chain(mul + 1..end)
                .all(|t| self.readers[t].iter().all(|r| first(r) || second(r)));
            let layers: [Vec<usize>; 2] =
                [(at..=mean).collect(), (at..mean).chain(mul..end).collect()];
            let chains = self.is_chain(&layers[0], at) && self.is_chain(&layers[1], mul);
            if !closed || !chains || matches!(self.layers[end - 1].operator, Operator::Mean(_)) {
                continue;
            }
            for band in bands(self.rows(end - 1)) {
                let passes = [
                    self.propose(at, mean + 1, &layers[0], band, false),
                    self.propose(mul, end, &layers[1], band, false),
                ];
                if let [Some(a), Some(b)] = passes {
                    found.push(Segment {
                        at,
                        end,
                        instructions: a.instructions + alone + b.instructions,
                        streams: vec![a, b],
                    });
                }
            }
        }
        found
    }

    /// Whether the layers read one another or what exists before layer `at`, and all but the last are
    /// read.
    fn is_chain(&self, layers: &[usize], at: usize) -> bool {
        let Some((last, others)) = layers.split_last() else {
            return false;
        };
        let reads = |t: usize| t <= at || layers.contains(&(t - 1));
        let read = |l: &usize| self.readers[l + 1].iter().any(|r| layers.contains(r));
        let gates = layers.iter().all(|l| {
            let layer = &self.layers[*l];
            let mul = matches!(layer.operator, Operator::Mul(_));
            !mul || layer
                .second
                .is_some_and(|t| t <= at && (t == 0 || !layers.contains(&(t - 1))))
        });
        let means = others
            .iter()
            .all(|l| !matches!(self.layers[*l].operator, Operator::Mean(_)));
        let inputs = layers.iter().all(|l| {
            let layer = &self.layers[*l];
            reads(layer.input) && layer.second.is_none_or(reads)
        });
        *last >= at && gates && means && inputs && others.iter().all(read)
    }

    /// Rows that a layer makes in a stream.
    fn rows(&self, layer: usize) -> usize {
        usize::from(LinkShape::of(&self.model, layer).rows)
    }

    /// A stream of `layers` whose last one makes `band` rows at a time.
    fn propose(
        &self,
        at: usize,
        end: usize,
        layers: &[usize],
        band: usize,
        frame: bool,
    ) -> Option<Proposal> {
        let shapes: Vec<LinkShape> = layers
            .iter()
            .map(|l| LinkShape::of(&self.model, *l))
            .collect();
        if layers.len() + usize::from(frame) > MAX_LINKS || shapes.iter().any(|s| s.rows == 0) {
            return None;
        }
        // Each layer makes what its readers want in a turn.
        let mut bands = vec![0usize; layers.len()];
        *bands.last_mut()? = band;
        for k in (0..layers.len() - 1).rev() {
            let wanted = layers.iter().enumerate().skip(k + 1).filter_map(|(j, _)| {
                let reads = shapes[j].inputs.contains(&Some(layers[k] + 1));
                reads.then(|| bands[j] * usize::from(shapes[j].stride))
            });
            bands[k] = wanted.max()?.min(usize::from(shapes[k].rows)).max(1);
        }
        let mut links: Vec<LinkRecord> = Vec::new();
        for (k, layer) in layers.iter().enumerate() {
            let replaces = match k + 1 < layers.len() {
                true => self.takes_place(&layers[..=k], layers),
                false => 0,
            };
            let placeless = replaces > 0 || k + 1 == layers.len();
            links.push(LinkRecord {
                layer: *layer,
                band: bands[k],
                capacity: if placeless { 0 } else { u16::MAX.into() },
                replaces,
                reserved: 0,
                offset: 0,
            });
        }
        let mut proposal = Proposal {
            at,
            end,
            frame_rows: if frame { u16::MAX.into() } else { 0 },
            links,
            instructions: 0,
            longest: 0,
            over: None,
        };
        self.shrink(&mut proposal, &shapes)?;
        self.count(&mut proposal, &shapes)?;
        Some(proposal)
    }

    /// The number, from 1 on, of the input whose place the last of `so_far` may take: one that
    /// another link makes for it alone. 0 where there is none.
    fn takes_place(&self, so_far: &[usize], all: &[usize]) -> u8 {
        let Some((l, before)) = so_far.split_last() else {
            return 0;
        };
        let layer = &self.layers[*l];
        let narrow = match &layer.operator {
            Operator::Depthwise(f) => f.input.c == f.output.c && f.output.w <= f.input.w,
            _ => true,
        };
        let inputs = [(Some(layer.input), 1), (layer.second, 2)];
        let taken = inputs.into_iter().find(|(tensor, number)| {
            let linked = tensor.filter(|t| before.iter().any(|b| b + 1 == *t));
            let alone = linked.is_some_and(|t| {
                let readers = self.readers[t].iter();
                readers.filter(|r| all.contains(r)).count() == 1
            });
            alone && narrow && layer.operator.works_in_place(number - 1)
        });
        taken.map_or(0, |(_, number)| number as u8)
    }

    fn walk(&self, proposal: &Proposal, shapes: &[LinkShape]) -> Option<Stream> {
        let mut stream = Stream::default();
        if proposal.frame_rows > 0 {
            stream.add_frame(&self.model, proposal.frame_rows)?;
        }
        for (shape, link) in shapes.iter().zip(&proposal.links) {
            stream.add(*shape, link)?;
        }
        Some(stream)
    }

    /// Gives every line buffer as many rows as it ever holds.
    fn shrink(&self, proposal: &mut Proposal, shapes: &[LinkShape]) -> Option<()> {
        let mut stream = self.walk(proposal, shapes)?;
        let mut most = vec![0; stream.links().len()];
        while let Some((k, n)) = stream.next() {
            if let Some(owner) = stream.owner(k) {
                let rows = stream.end(k, n) - stream.first(k);
                let there = stream.first(k) >= stream.link(owner).base;
                let made = i32::from(stream.link(k).made);
                if !there || rows < n as i32 || stream.low(k) < made {
                    return None;
                }
            } else if !stream.is_settled(k) {
                return None;
            }
            most[k] = most[k].max(stream.held(k, n));
            stream.room(k, n);
            stream.made(k, n);
        }
        let frame = usize::from(proposal.frame_rows > 0);
        if frame > 0 {
            proposal.frame_rows = most[0];
        }
        for (link, most) in proposal.links.iter_mut().zip(&most[frame..]) {
            if link.capacity > 0 {
                link.capacity = *most;
            }
        }
        Some(())
    }

    /// Counts instructions, and finds out whether the output may lie over the first layer's input.
    fn count(&self, proposal: &mut Proposal, shapes: &[LinkShape]) -> Option<()> {
        let mut stream = self.walk(proposal, shapes)?;
        let last = stream.links().len() - 1;
        let input = self.layers[proposal.links.first()?.layer].input;
        let shape = self.model.tensor(input).shape;
        let output = self.model.tensor(proposal.end).shape;
        // The tensor's other readers must be done, and it must exist.
        let mut over = proposal.frame_rows == 0 && self.last_reader(input) < proposal.end;
        let reads = |layer: u16| {
            let layer = self.layers.get(usize::from(layer));
            layer.is_some_and(|l| l.reads(input))
        };
        let last_layer = &self.layers[proposal.end - 1];
        if last_layer.reads(input) {
            let adds = matches!(last_layer.operator, Operator::Add(_));
            over &= adds && shape == output;
        }
        over &= !matches!(last_layer.operator, Operator::Mean(_));
        while let Some((k, n)) = stream.next() {
            let link = *stream.link(k);
            let (first, end) = (stream.first(k), stream.end(k, n));
            let shift = stream.room(k, n).map_or(0, |s| s.len);
            stream.made(k, n);
            if k == last {
                let written = usize::from(stream.link(k).made) * link.row_len as usize;
                let links = stream.links().iter().enumerate();
                let needed = links
                    .filter(|(_, l)| reads(l.layer) && l.made < l.rows)
                    .map(|(j, _)| stream.first(j).max(0) as usize)
                    .min()
                    .unwrap_or(shape.h);
                over &= written <= needed * shape.w * shape.c;
            }
            if link.layer == FRAME {
                proposal.instructions += cost::moved(shift);
                continue;
            }
            let operator = &self.layers[usize::from(link.layer)].operator;
            let rows = (end - first.max(0)).max(0) as usize;
            let values = n * link.row_len as usize;
            let work = match operator {
                Operator::Mean(p) => {
                    (n * p.input.w * p.input.c) as u64 * 3 / 4 + 20 * p.input.c as u64
                }
                operator => {
                    let band = operator.band(rows, n, (first.max(0) - first) as usize);
                    cost::instructions(&band) + cost::by_value(operator, values)
                }
            };
            let turn = work + cost::STEP + cost::TURN + cost::moved(shift);
            proposal.instructions += turn;
            proposal.longest = proposal.longest.max(turn);
        }
        proposal.over = over.then_some(input);
        Some(())
    }
}

/// Heights of bands to try for a layer of `rows` rows.
fn bands(rows: usize) -> impl Iterator<Item = usize> {
    [1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32]
        .into_iter()
        .filter(move |b| *b < rows)
        .chain([rows])
}
