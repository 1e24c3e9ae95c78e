//! A stream as the planner proposes it: bands, line buffers, what it costs.

use super::cost;
use super::segment::Net;
use pupil_core::model::StreamRecord;
use pupil_core::op::Operator;
use pupil_core::stream::{FRAME, LinkRecord, LinkShape, MAX_LINKS, Stream};

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

impl Net<'_> {
    /// A stream of `layers` whose last one makes `band` rows at a time.
    pub fn propose(
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
            Operator::Depthwise(f) => f.input().c == f.output().c && f.output().w <= f.input().w,
            _ => true,
        };
        let inputs = [(Some(layer.input), 1), (layer.second, 2)];
        let taken = inputs.into_iter().find(|(tensor, number)| {
            let linked = tensor.filter(|t| before.iter().any(|b| b + 1 == *t));
            let alone = linked.is_some_and(|t| {
                let readers = self.liveness.readers(t).iter();
                readers.filter(|r| all.contains(r)).count() == 1
            });
            alone && narrow && layer.operator.works_in_place(number - 1)
        });
        taken.map_or(0, |(_, number)| number as u8)
    }

    fn walk(&self, proposal: &Proposal, shapes: &[LinkShape]) -> Option<Stream> {
        let mut stream = Stream::default();
        if proposal.frame_rows > 0 {
            let frame = self.model.tensor(0);
            stream.add_frame(frame.shape, frame.offset, proposal.frame_rows)?;
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
        let mut over = proposal.frame_rows == 0 && self.liveness.last_reader(input) < proposal.end;
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
            let values = n * link.row_len as usize;
            let work = match operator {
                Operator::Mean(p) => {
                    let end = if stream.is_done() { cost::MEAN } else { 0 };
                    cost::sums(n * p.input.w * p.input.c) + (12 + end) * p.input.c as u64
                }
                operator => cost::rows_of(operator, n) + cost::by_value(operator, values),
            };
            let turn = work + cost::STEP + cost::TURN + cost::moved(shift);
            proposal.instructions += turn;
            proposal.longest = proposal.longest.max(turn);
        }
        proposal.over = over.then_some(input);
        Some(())
    }
}
