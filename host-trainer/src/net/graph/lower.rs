//! Concatenation and grouped convolution by operators that the chip has.
//!
//! A tensor of the graph becomes a row of *pieces*: tensors that hold its channels in order.
//! Concatenating is then putting rows together, which costs nothing. A convolution over several
//! pieces is the sum of convolutions over each (its weights are cut, none is added), and the
//! activation follows the last sum. A grouped convolution runs each group on its own piece: the
//! convolution before it is cut into as many (ResNeXt, arXiv 1611.05431, figure 3: the three
//! forms are equal). Where a piece can't be cut, because it is a sum or a gated map, the group's
//! weights are filled up with zeros: exact, at `groups` times the work.
//!
//! In f32 the lowered graph differs by the order of sums alone. In int8 each partial sum is
//! rounded to its own scale, by half a step at most.

use super::cut::{columns_of, groups_of, rows_of, with_zeros};
use super::nodes::{Dims, Filter, Graph, Op};
use crate::nn::Activation;

/// The same function without [`Op::Concat`] and [`Op::GroupedConv`]; a graph that has none of
/// them is copied.
pub(crate) fn lower(graph: &Graph) -> Graph {
    let mut lowering = Lowering {
        cuts: cuts(graph),
        target: Graph::new(graph.tensors[0]),
        rows: vec![vec![0]],
    };
    for (i, node) in graph.nodes.iter().enumerate() {
        let row = lowering.node(graph, i, &node.name, &node.inputs, &node.op);
        lowering.rows.push(row);
    }
    // The answer is one tensor, the last one.
    if let Some(row) = lowering.rows.last().cloned()
        && row.len() > 1
    {
        lowering.join("answer", &row);
    }
    lowering.target
}

/// Into how many equal pieces each tensor should be cut: the groups of a grouped convolution
/// that reads it, passed on through operators that treat each channel alone. Convolutions do the
/// cutting.
fn cuts(graph: &Graph) -> Vec<usize> {
    let mut cuts = vec![1; graph.tensors.len()];
    for (i, node) in graph.nodes.iter().enumerate().rev() {
        let wanted = match node.op {
            Op::GroupedConv(groups, _) => groups,
            Op::Depthwise(_) | Op::MaxPool { .. } => cuts[i + 1],
            _ => 1,
        };
        if wanted > 1 {
            cuts[node.inputs[0]] = wanted;
        }
    }
    cuts
}

struct Lowering {
    /// Pieces wanted of each tensor of the source.
    cuts: Vec<usize>,
    target: Graph,
    /// For each tensor of the source, the target's tensors that hold it.
    rows: Vec<Vec<usize>>,
}

impl Lowering {
    fn dims(&self, tensor: usize) -> Dims {
        self.target.tensors[tensor]
    }

    fn widths(&self, row: &[usize]) -> Vec<usize> {
        row.iter().map(|t| self.dims(*t)[2]).collect()
    }

    fn node(
        &mut self,
        graph: &Graph,
        i: usize,
        name: &str,
        inputs: &[usize],
        op: &Op,
    ) -> Vec<usize> {
        let out = graph.tensors[i + 1];
        let row = self.rows[inputs[0]].clone();
        let cuts = self.cuts[i + 1];
        match op {
            Op::Conv(f) => self.conv(name, &row, f, out, cuts),
            Op::Dense(f) => {
                let row = if row.len() > 1 && self.dims(row[0])[..2] != [1, 1] {
                    vec![self.join(name, &row)]
                } else {
                    row
                };
                vec![self.sum(name, &row, f, out, Op::Dense)]
            }
            Op::Depthwise(f) => {
                let parts = self.depthwise_parts(name, &row, f);
                parts
                    .into_iter()
                    .map(|(piece, part, name)| {
                        let dims = [out[0], out[1], part.bias.len()];
                        self.target.push(name, &[piece], Op::Depthwise(part), dims)
                    })
                    .collect()
            }
            Op::GroupedConv(groups, f) => self.grouped(name, &row, *groups, f, out, cuts),
            Op::MaxPool { .. } | Op::Mean => row
                .iter()
                .enumerate()
                .map(|(p, piece)| {
                    let dims = [out[0], out[1], self.dims(*piece)[2]];
                    let name = part_name(name, p, row.len());
                    self.target.push(name, &[*piece], op.clone(), dims)
                })
                .collect(),
            Op::SqueezeExcite { reduce, expand } => {
                if row.len() == 1 {
                    return vec![self.target.push(name.into(), &row, op.clone(), out)];
                }
                self.squeeze_excite(name, &row, reduce, expand)
            }
            Op::Add(_) | Op::Scale => {
                let (mut a, mut b) = (row, self.rows[inputs[1]].clone());
                if self.widths(&a) != self.widths(&b) {
                    a = vec![self.join(name, &a)];
                    b = vec![self.join(name, &b)];
                }
                let parts = a.len();
                a.into_iter()
                    .zip(b)
                    .enumerate()
                    .map(|(p, (a, b))| {
                        let dims = self.dims(a);
                        let name = part_name(name, p, parts);
                        self.target.push(name, &[a, b], op.clone(), dims)
                    })
                    .collect()
            }
            Op::Concat => inputs
                .iter()
                .flat_map(|t| self.rows[*t].iter().copied())
                .collect(),
        }
    }

    /// A convolution of a row, cut into `cuts` pieces.
    fn conv(
        &mut self,
        name: &str,
        row: &[usize],
        f: &Filter,
        out: Dims,
        cuts: usize,
    ) -> Vec<usize> {
        let share = f.bias.len() / cuts;
        (0..cuts)
            .map(|g| {
                let part = rows_of(f, g * share, share);
                let dims = [out[0], out[1], share];
                self.sum(&part_name(name, g, cuts), row, &part, dims, Op::Conv)
            })
            .collect()
    }

    /// The sum of convolutions (or dense layers) over each piece of a row.
    fn sum(
        &mut self,
        name: &str,
        row: &[usize],
        f: &Filter,
        dims: Dims,
        op: impl Fn(Filter) -> Op,
    ) -> usize {
        if let [x] = row {
            return self.target.push(name.into(), &[*x], op(f.clone()), dims);
        }
        let widths = self.widths(row);
        let mut at = 0;
        let mut sum = None;
        for (p, (piece, width)) in row.iter().zip(&widths).enumerate() {
            let mut part = columns_of(f, widths.iter().sum(), at, *width);
            part.act = Activation::Linear;
            if p > 0 {
                part.bias.fill(0.0);
            }
            at += width;
            let name_p = part_name(name, p, row.len());
            let y = self.target.push(name_p, &[*piece], op(part), dims);
            sum = Some(match sum {
                None => y,
                Some(before) => {
                    let act = if p + 1 == row.len() {
                        f.act
                    } else {
                        Activation::Linear
                    };
                    let name = format!("{name} sum {p}");
                    self.target.push(name, &[before, y], Op::Add(act), dims)
                }
            });
        }
        sum.unwrap_or(0)
    }

    fn grouped(
        &mut self,
        name: &str,
        row: &[usize],
        groups: usize,
        f: &Filter,
        out: Dims,
        cuts: usize,
    ) -> Vec<usize> {
        let widths = self.widths(row);
        let in_ch: usize = widths.iter().sum();
        let (own, share) = (in_ch / groups, f.bias.len() / groups);
        let Some(owners) = groups_of(&widths, own) else {
            let full = with_zeros(f, in_ch, groups);
            return self.conv(name, row, &full, out, cuts);
        };
        owners
            .into_iter()
            .enumerate()
            .map(|(g, pieces)| {
                let part = rows_of(f, g * share, share);
                let dims = [out[0], out[1], share];
                let name = part_name(name, g, groups);
                self.sum(&name, &row[pieces], &part, dims, Op::Conv)
            })
            .collect()
    }

    /// Pieces of a depthwise convolution's row with their filters and names.
    fn depthwise_parts(
        &self,
        name: &str,
        row: &[usize],
        f: &Filter,
    ) -> Vec<(usize, Filter, String)> {
        let ch = f.bias.len();
        let mut at = 0;
        row.iter()
            .enumerate()
            .map(|(p, piece)| {
                let width = self.dims(*piece)[2];
                let weights = f
                    .weights
                    .chunks_exact(ch)
                    .flat_map(|tap| tap[at..at + width].iter().copied())
                    .collect();
                let part = Filter {
                    weights,
                    bias: f.bias[at..at + width].to_vec(),
                    ..*f
                };
                at += width;
                (*piece, part, part_name(name, p, row.len()))
            })
            .collect()
    }

    /// Means of the pieces, one hidden layer over all of them, a gate for each.
    fn squeeze_excite(
        &mut self,
        name: &str,
        row: &[usize],
        reduce: &Filter,
        expand: &Filter,
    ) -> Vec<usize> {
        let widths = self.widths(row);
        let parts = row.len();
        let means: Vec<usize> = row
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(p, (piece, width))| {
                let name = part_name(&format!("{name} mean"), p, parts);
                self.target.push(name, &[*piece], Op::Mean, [1, 1, *width])
            })
            .collect();
        let dims = [1, 1, reduce.bias.len()];
        let hidden = self.sum(&format!("{name} reduce"), &means, reduce, dims, Op::Dense);
        let mut at = 0;
        let mut gated = Vec::new();
        for (p, (piece, width)) in row.iter().zip(widths).enumerate() {
            let part = rows_of(expand, at, width);
            at += width;
            let expand = part_name(&format!("{name} expand"), p, parts);
            let gate = self
                .target
                .push(expand, &[hidden], Op::Dense(part), [1, 1, width]);
            let dims = self.dims(*piece);
            let scale = part_name(&format!("{name} scale"), p, parts);
            gated.push(self.target.push(scale, &[*piece, gate], Op::Scale, dims));
        }
        gated
    }

    /// One tensor of a row: each piece is set in its place by a 1x1 convolution with ones on the
    /// diagonal, then added.
    fn join(&mut self, name: &str, row: &[usize]) -> usize {
        if let [x] = row {
            return *x;
        }
        let total: usize = self.widths(row).iter().sum();
        let [h, w, _] = self.dims(row[0]);
        let mut weights = vec![0.0; total * total];
        (0..total).for_each(|c| weights[c * total + c] = 1.0);
        let diagonal = Filter {
            kernel: 1,
            stride: 1,
            weights,
            bias: vec![0.0; total],
            act: Activation::Linear,
        };
        self.sum(
            &format!("{name} join"),
            row,
            &diagonal,
            [h, w, total],
            Op::Conv,
        )
    }
}

/// "unit 2 grouped 3/4"; the plain name where there is one part.
fn part_name(name: &str, part: usize, parts: usize) -> String {
    if parts == 1 {
        name.into()
    } else {
        format!("{name} {}/{parts}", part + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::graph::float;

    /// Numbers in −1..1 that repeat late.
    fn numbers(count: usize, seed: usize) -> Vec<f32> {
        (0..count)
            .map(|i| ((i + seed) * 7919 % 1009) as f32 / 504.5 - 1.0)
            .collect()
    }

    fn filter(kernel: usize, stride: usize, in_ch: usize, out_ch: usize) -> Filter {
        Filter {
            kernel,
            stride,
            weights: numbers(kernel * kernel * in_ch * out_ch, in_ch),
            bias: numbers(out_ch, 17),
            act: Activation::Relu,
        }
    }

    fn assert_same(graph: &Graph) -> Graph {
        let lowered = lower(graph);
        assert!(
            lowered
                .nodes
                .iter()
                .all(|n| !matches!(n.op, Op::Concat | Op::GroupedConv(..)))
        );
        let input = numbers(graph.tensors[0].iter().product(), 3);
        let expected = float::run(graph, &input, &mut |_, _| {});
        let got = float::run(&lowered, &input, &mut |_, _| {});
        assert_eq!(got.len(), expected.len());
        let largest = expected.iter().fold(0.1f32, |m, v| m.max(v.abs()));
        for (a, b) in got.iter().zip(&expected) {
            // The order of f32 sums.
            assert!((a - b).abs() < 1e-5 * largest, "{a} {b}");
        }
        lowered
    }

    /// Channel slices as convolutions of an image, concatenated: 6 + 2 channels.
    fn branches(graph: &mut Graph) -> usize {
        let [h, w, c] = graph.tensors[0];
        let a = graph.push("a".into(), &[0], Op::Conv(filter(1, 1, c, 6)), [h, w, 6]);
        let b = graph.push("b".into(), &[0], Op::Conv(filter(3, 1, c, 2)), [h, w, 2]);
        graph.push("concat".into(), &[a, b], Op::Concat, [h, w, 8])
    }

    #[test]
    fn a_graph_without_either_is_copied() {
        let mut graph = Graph::new([4, 4, 3]);
        let x = graph.push("a".into(), &[0], Op::Conv(filter(3, 2, 3, 4)), [2, 2, 4]);
        graph.push("mean".into(), &[x], Op::Mean, [1, 1, 4]);
        assert_eq!(lower(&graph), graph);
    }

    #[test]
    fn every_operator_reads_a_concatenation() {
        let (reduce, mut expand) = (filter(1, 1, 8, 3), filter(1, 1, 3, 8));
        expand.act = Activation::Sigmoid;
        for (op, out) in [
            (Op::Conv(filter(3, 2, 8, 5)), [3, 2, 5]),
            (
                Op::Depthwise(Filter {
                    weights: numbers(72, 5),
                    bias: numbers(8, 6),
                    ..filter(3, 1, 1, 1)
                }),
                [5, 4, 8],
            ),
            (
                Op::MaxPool {
                    kernel: 3,
                    stride: 2,
                },
                [3, 2, 8],
            ),
            (Op::Mean, [1, 1, 8]),
            (Op::Dense(filter(1, 1, 160, 7)), [1, 1, 7]),
            (Op::SqueezeExcite { reduce, expand }, [5, 4, 8]),
            (Op::GroupedConv(4, filter(3, 1, 2, 8)), [5, 4, 8]),
            (Op::GroupedConv(2, filter(3, 1, 4, 6)), [5, 4, 6]),
        ] {
            let mut graph = Graph::new([5, 4, 3]);
            let x = branches(&mut graph);
            graph.push("op".into(), &[x], op, out);
            assert_same(&graph);
        }
    }

    #[test]
    fn sums_of_rows_that_do_not_match_are_joined() {
        let mut graph = Graph::new([5, 4, 3]);
        let x = branches(&mut graph);
        let y = graph.push("c".into(), &[0], Op::Conv(filter(1, 1, 3, 8)), [5, 4, 8]);
        let sum = Op::Add(Activation::Relu);
        graph.push("sum".into(), &[x, y], sum, [5, 4, 8]);
        assert_same(&graph);
    }

    #[test]
    fn the_convolution_before_groups_is_cut_at_no_cost() {
        let mut graph = Graph::new([5, 4, 3]);
        let x = graph.push("a".into(), &[0], Op::Conv(filter(1, 1, 3, 8)), [5, 4, 8]);
        let grouped = Op::GroupedConv(4, filter(3, 1, 2, 12));
        let x = graph.push("grouped".into(), &[x], grouped, [5, 4, 12]);
        graph.push("b".into(), &[x], Op::Conv(filter(1, 1, 12, 5)), [5, 4, 5]);
        let lowered = assert_same(&graph);
        let weights = |g: &Graph| -> usize {
            let count = |n: &crate::net::graph::nodes::Node| match &n.op {
                Op::Conv(f) | Op::GroupedConv(_, f) => f.weights.len(),
                _ => 0,
            };
            g.nodes.iter().map(count).sum()
        };
        assert_eq!(weights(&lowered), weights(&graph));
    }

    #[test]
    fn cuts_pass_through_depthwise_convolutions_and_pools() {
        let mut graph = Graph::new([5, 4, 3]);
        let x = graph.push("a".into(), &[0], Op::Conv(filter(1, 1, 3, 8)), [5, 4, 8]);
        let depthwise = Filter {
            weights: numbers(72, 5),
            ..filter(3, 1, 1, 8)
        };
        let x = graph.push("b".into(), &[x], Op::Depthwise(depthwise), [5, 4, 8]);
        let pool = Op::MaxPool {
            kernel: 2,
            stride: 2,
        };
        let x = graph.push("c".into(), &[x], pool, [3, 2, 8]);
        let grouped = Op::GroupedConv(2, filter(3, 1, 4, 6));
        graph.push("d".into(), &[x], grouped, [3, 2, 6]);
        let lowered = assert_same(&graph);
        let own =
            |n: &crate::net::graph::nodes::Node| matches!(&n.op, Op::Conv(f) if f.bias.len() < 6);
        assert_eq!(lowered.nodes.iter().filter(|n| own(n)).count(), 4);
    }

    #[test]
    fn groups_of_a_map_that_cannot_be_cut_are_filled_with_zeros() {
        let mut graph = Graph::new([5, 4, 8]);
        graph.push(
            "grouped".into(),
            &[0],
            Op::GroupedConv(4, filter(3, 2, 2, 12)),
            [3, 2, 12],
        );
        let lowered = assert_same(&graph);
        assert_eq!(lowered.nodes.len(), 1);
    }
}
