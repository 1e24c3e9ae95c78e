//! From a trained net of a blueprint to a [`Graph`]: batch norm becomes part of weights and
//! biases, everything else stays as it is.

use super::fold::{conv, dense, depthwise, scale_shift, squeeze_excite, values};
use super::nodes::{Filter, Graph, Op};
use crate::net::blueprint::Part;
use crate::net::layers::{Layer, Net};
use crate::nn::{Activation, GroupedConv};

/// The graph that computes what `net` computes in evaluation, up to rounding: logits come last.
pub(crate) fn fold_net(net: &Net) -> Graph {
    let blueprint = net.blueprint();
    let dims = blueprint.dims();
    let mut graph = Graph::new(blueprint.input);
    let mut layers = net.layers.iter();
    for (i, step) in blueprint.steps.iter().enumerate() {
        let op = match step.part {
            Part::MaxPool { kernel, stride } => Op::MaxPool { kernel, stride },
            Part::Add { act } => Op::Add(act),
            Part::Concat => Op::Concat,
            Part::GlobalMean => Op::Mean,
            Part::Conv {
                kernel,
                stride,
                act,
                ..
            }
            | Part::Depthwise {
                kernel,
                stride,
                act,
            } => match layers.next() {
                Some(layer) => filter(layer, (kernel, stride), act),
                None => continue,
            },
            Part::SqueezeExcite { .. } | Part::Dense { .. } => match layers.next() {
                Some(layer) => filter(layer, (1, 1), Activation::Linear),
                None => continue,
            },
        };
        graph.push(step.name.clone(), &step.inputs, op, dims[i + 1]);
    }
    graph
}

fn filter(layer: &Layer, (kernel, stride): (usize, usize), act: Activation) -> Op {
    match layer {
        Layer::Conv(c) => Op::Conv(conv(c.weight.val(), &c.norm, kernel, stride, act)),
        Layer::Pointwise(c) => Op::Conv(conv(c.weight.val(), &c.norm, 1, 1, act)),
        Layer::Grouped(c) => {
            let (groups, filter) = grouped(c, (kernel, stride), act);
            Op::GroupedConv(groups, filter)
        }
        Layer::Depthwise(d) => Op::Depthwise(depthwise(d, (kernel, stride), act)),
        Layer::SqueezeExcite(se) => squeeze_excite(se),
        Layer::Dense(d) => Op::Dense(dense(d.weight.val(), d.bias.val(), Activation::Linear)),
    }
}

/// `[groups, rows, out]` to `[groups][out][rows]`, each output channel scaled.
fn grouped(
    layer: &GroupedConv,
    (kernel, stride): (usize, usize),
    act: Activation,
) -> (usize, Filter) {
    let weight = layer.weight.val();
    let [groups, rows, out] = weight.dims();
    let weight = values(weight);
    let (scale, bias) = scale_shift(&layer.norm);
    let mut weights = Vec::with_capacity(weight.len());
    for (g, group) in weight.chunks_exact(rows * out).enumerate() {
        weights.extend(super::fold::transpose_scaled(
            group,
            &scale[g * out..][..out],
        ));
    }
    let filter = Filter {
        kernel,
        stride,
        weights,
        bias,
        act,
    };
    (groups, filter)
}
