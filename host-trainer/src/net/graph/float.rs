//! The graph in f32, one image at a time: what int8 is compared with and calibrated on.

use serde::{Deserialize, Serialize};

use super::nodes::{Dims, Filter, Graph, Op};
use crate::nn::Activation;
use pupil_core::op::shape::same_padding;

/// A place whose values calibration watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Place {
    /// What operator `0` has written.
    Output(usize),
    /// The same before its activation.
    BeforeAct(usize),
    /// The mean inside squeeze-and-excitation `0`.
    Squeezed(usize),
    /// Its hidden layer before the activation.
    HiddenBeforeAct(usize),
    /// Its hidden layer.
    Hidden(usize),
    /// Its gate before the sigmoid.
    GateBeforeAct(usize),
}

impl Place {
    /// All places of operator `node`, whatever it is.
    pub(crate) fn all_of(node: usize) -> [Self; 6] {
        [
            Self::Output(node),
            Self::BeforeAct(node),
            Self::Squeezed(node),
            Self::HiddenBeforeAct(node),
            Self::Hidden(node),
            Self::GateBeforeAct(node),
        ]
    }
}

/// Runs the graph on an NHWC image and returns the last tensor; `watch` sees the values at every
/// [`Place`].
pub(crate) fn run(graph: &Graph, input: &[f32], watch: &mut dyn FnMut(Place, &[f32])) -> Vec<f32> {
    let mut tensors: Vec<Vec<f32>> = vec![input.to_vec()];
    for (i, node) in graph.nodes.iter().enumerate() {
        let x = &tensors[node.inputs[0]];
        let dims = graph.tensors[node.inputs[0]];
        let mut y = match &node.op {
            Op::Conv(f) => conv(x, dims, f),
            Op::Depthwise(f) => depthwise(x, dims, f),
            Op::Dense(f) => dense(x, f),
            Op::Mean => mean(x, dims[2]),
            Op::GroupedConv(groups, f) => grouped(x, dims, *groups, f),
            Op::MaxPool { kernel, stride } => max_pool(x, dims, *kernel, *stride),
            Op::Add(_) => x
                .iter()
                .zip(&tensors[node.inputs[1]])
                .map(|(a, b)| a + b)
                .collect(),
            Op::Scale => scale(x, &tensors[node.inputs[1]]),
            Op::Concat => {
                let parts: Vec<(&[f32], usize)> = node
                    .inputs
                    .iter()
                    .map(|t| (tensors[*t].as_slice(), graph.tensors[*t][2]))
                    .collect();
                concat(&parts)
            }
            Op::SqueezeExcite { reduce, expand } => {
                let squeezed = mean(x, dims[2]);
                watch(Place::Squeezed(i), &squeezed);
                let mut hidden = dense(&squeezed, reduce);
                watch(Place::HiddenBeforeAct(i), &hidden);
                activate(&mut hidden, reduce.act);
                watch(Place::Hidden(i), &hidden);
                let mut gate = dense(&hidden, expand);
                watch(Place::GateBeforeAct(i), &gate);
                activate(&mut gate, expand.act);
                scale(x, &gate)
            }
        };
        if let Op::Conv(Filter { act, .. })
        | Op::GroupedConv(_, Filter { act, .. })
        | Op::Depthwise(Filter { act, .. })
        | Op::Dense(Filter { act, .. })
        | Op::Add(act) = &node.op
        {
            watch(Place::BeforeAct(i), &y);
            activate(&mut y, *act);
        }
        watch(Place::Output(i), &y);
        tensors.push(y);
    }
    tensors.pop().unwrap_or_default()
}

fn activate(values: &mut [f32], act: Activation) {
    for v in values {
        *v = act.apply(*v);
    }
}

/// Every pixel of `x` times `gate`, channel by channel.
fn scale(x: &[f32], gate: &[f32]) -> Vec<f32> {
    x.chunks_exact(gate.len())
        .flat_map(|row| row.iter().zip(gate).map(|(v, g)| v * g))
        .collect()
}

/// Channels of several maps, each with its number of channels, pixel by pixel.
fn concat(parts: &[(&[f32], usize)]) -> Vec<f32> {
    let pixels = parts.first().map_or(0, |(x, c)| x.len() / c);
    let mut y = Vec::with_capacity(parts.iter().map(|(x, _)| x.len()).sum());
    for p in 0..pixels {
        for (x, c) in parts {
            y.extend_from_slice(&x[p * c..][..*c]);
        }
    }
    y
}

fn max_pool(x: &[f32], dims: Dims, kernel: usize, stride: usize) -> Vec<f32> {
    let c = dims[2];
    let pixels = dims[0].div_ceil(stride) * dims[1].div_ceil(stride);
    let mut y = vec![f32::NEG_INFINITY; pixels * c];
    for_taps(dims, kernel, stride, |o, _, i| {
        for (y, x) in y[o * c..][..c].iter_mut().zip(&x[i * c..][..c]) {
            *y = y.max(*x);
        }
    });
    y
}

/// Each group as a convolution of its own channels.
fn grouped(x: &[f32], dims: Dims, groups: usize, f: &Filter) -> Vec<f32> {
    let (in_ch, out_ch) = (dims[2] / groups, f.bias.len() / groups);
    let answers: Vec<Vec<f32>> = (0..groups)
        .map(|g| {
            let own: Vec<f32> = x
                .chunks_exact(dims[2])
                .flat_map(|row| &row[g * in_ch..][..in_ch])
                .copied()
                .collect();
            let share = f.weights.len() / groups;
            let filter = Filter {
                weights: f.weights[g * share..][..share].to_vec(),
                bias: f.bias[g * out_ch..][..out_ch].to_vec(),
                ..*f
            };
            conv(&own, [dims[0], dims[1], in_ch], &filter)
        })
        .collect();
    let parts: Vec<(&[f32], usize)> = answers.iter().map(|y| (y.as_slice(), out_ch)).collect();
    concat(&parts)
}

fn mean(x: &[f32], c: usize) -> Vec<f32> {
    let mut sums = vec![0.0; c];
    for row in x.chunks_exact(c) {
        for (s, v) in sums.iter_mut().zip(row) {
            *s += v;
        }
    }
    let scale = c as f32 / x.len() as f32;
    sums.iter_mut().for_each(|s| *s *= scale);
    sums
}

fn dense(x: &[f32], f: &Filter) -> Vec<f32> {
    f.weights
        .chunks_exact(x.len())
        .zip(&f.bias)
        .map(|(row, b)| b + dot(row, x))
        .collect()
}

/// Sum of products in eight partial sums, which the compiler can keep in one register.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 = a8
        .remainder()
        .iter()
        .zip(b8.remainder())
        .map(|(x, y)| x * y)
        .sum();
    let mut sums = [0.0f32; 8];
    for (x, y) in a8.zip(b8) {
        for i in 0..8 {
            sums[i] += x[i] * y[i];
        }
    }
    sums.iter().sum::<f32>() + rest
}

/// Calls `f(output pixel, tap, input pixel)` for every tap inside the image.
fn for_taps([h, w, _]: Dims, kernel: usize, stride: usize, mut f: impl FnMut(usize, usize, usize)) {
    let (oh, ow) = (h.div_ceil(stride), w.div_ceil(stride));
    let (top, left) = (
        same_padding(h, kernel, stride).0,
        same_padding(w, kernel, stride).0,
    );
    for oy in 0..oh {
        for ox in 0..ow {
            for ky in 0..kernel {
                for kx in 0..kernel {
                    let y = (oy * stride + ky).checked_sub(top).filter(|y| *y < h);
                    let x = (ox * stride + kx).checked_sub(left).filter(|x| *x < w);
                    if let (Some(y), Some(x)) = (y, x) {
                        f(oy * ow + ox, ky * kernel + kx, y * w + x);
                    }
                }
            }
        }
    }
}

fn conv(x: &[f32], dims: Dims, f: &Filter) -> Vec<f32> {
    let (c, out) = (dims[2], f.bias.len());
    let pixels = dims[0].div_ceil(f.stride) * dims[1].div_ceil(f.stride);
    let row = f.kernel * f.kernel * c;
    let mut patches = vec![0.0; pixels * row];
    for_taps(dims, f.kernel, f.stride, |o, tap, i| {
        patches[o * row + tap * c..][..c].copy_from_slice(&x[i * c..][..c]);
    });
    let mut y = Vec::with_capacity(pixels * out);
    for patch in patches.chunks_exact(row) {
        y.extend(
            f.weights
                .chunks_exact(row)
                .zip(&f.bias)
                .map(|(w, b)| b + dot(w, patch)),
        );
    }
    y
}

fn depthwise(x: &[f32], dims: Dims, f: &Filter) -> Vec<f32> {
    let c = dims[2];
    let pixels = dims[0].div_ceil(f.stride) * dims[1].div_ceil(f.stride);
    let mut y: Vec<f32> = f.bias.iter().copied().cycle().take(pixels * c).collect();
    for_taps(dims, f.kernel, f.stride, |o, tap, i| {
        let (w, x) = (&f.weights[tap * c..][..c], &x[i * c..][..c]);
        for ((y, w), x) in y[o * c..][..c].iter_mut().zip(w).zip(x) {
            *y += w * x;
        }
    });
    y
}
