//! A run of layers and a way to run it: alone, as a stream, or as two passes with a squeeze between.

use super::cost;
use super::liveness::Liveness;
use super::proposal::Proposal;
use pupil_core::model::{Layer, Model};
use pupil_core::op::Operator;
use pupil_core::stream::{LinkShape, MAX_LINKS};

/// Layers `at..end` and how they run.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub at: usize,
    pub end: usize,
    /// None: one layer alone. One: a stream. Two: with layers alone between them.
    pub streams: Vec<Proposal>,
    pub instructions: u64,
}

impl Segment {
    /// Layer `at` alone.
    pub fn alone(at: usize) -> Self {
        Self {
            at,
            end: at + 1,
            streams: vec![],
            instructions: 0,
        }
    }
}

/// What the planner asks of a model again and again.
pub(super) struct Net<'m> {
    pub model: Model<'m>,
    pub layers: Vec<Layer<'m>>,
    /// Who reads and replaces which tensor.
    pub liveness: Liveness,
    /// Instructions of each layer alone.
    pub alone: Vec<u64>,
}

impl<'m> Net<'m> {
    pub fn new(model: Model<'m>) -> Self {
        let layers: Vec<Layer<'m>> = model.layers().collect();
        let liveness = Liveness::of_model(&model);
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
            liveness,
            alone,
        }
    }

    /// All ways of running the layers from `at` on, with any end.
    pub fn segments(&self, at: usize, rows: bool) -> Vec<Segment> {
        let mut all = vec![Segment {
            instructions: self.alone[at],
            ..Segment::alone(at)
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
        let closed = (at + 1..end).all(|t| self.liveness.readers(t).iter().all(|r| inside(*r)));
        if !closed || !self.is_chain(&layers, at) {
            return vec![];
        }
        let frame = at == 0 && rows && self.liveness.readers(0).iter().all(|r| inside(*r));
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
        let gated = self
            .liveness
            .readers(map)
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
            let closed = (at + 1..=mean).chain(mul + 1..end).all(|t| {
                self.liveness
                    .readers(t)
                    .iter()
                    .all(|r| first(r) || second(r))
            });
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
        let read = |l: &usize| {
            self.liveness
                .readers(l + 1)
                .iter()
                .any(|r| layers.contains(r))
        };
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
}

/// Heights of bands to try for a layer of `rows` rows.
fn bands(rows: usize) -> impl Iterator<Item = usize> {
    [1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32]
        .into_iter()
        .filter(move |b| *b < rows)
        .chain([rows])
}
