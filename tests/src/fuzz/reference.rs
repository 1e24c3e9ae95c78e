//! A second interpreter, of plain loops: a layer after the other, each tensor in a buffer of its own.
//!
//! It shares with core's interpreter the parsed records and the rounding of `quant`, and nothing
//! else: neither kernels, nor places in an arena, nor streams. Softmax alone has one implementation
//! only, which core tests against golden values.

use pupil_core::kernels::reference::{self, Convolution};
use pupil_core::model::{Layer, Model};
use pupil_core::op::Operator;
use pupil_core::op::quant::Multiplier;
use pupil_core::op::{Filter, Output};

/// All tensors for a frame of u8 pixels; the last one are the scores.
pub fn tensors(model: &Model<'_>, frame: &[u8]) -> Vec<Vec<i8>> {
    let mut tensors = vec![frame.iter().map(|pixel| (pixel ^ 0x80) as i8).collect()];
    for layer in model.layers() {
        let output = run(&layer, &tensors);
        tensors.push(output);
    }
    tensors
}

/// Work of [`tensors`], about in multiply-accumulates.
pub fn work(model: &Model<'_>) -> u64 {
    let layers = model.layers().map(|layer| {
        let window = match &layer.operator {
            Operator::AveragePool(p) | Operator::MaxPool(p) => {
                4 * p.window.kernel_h as u64 * p.window.kernel_w as u64
            }
            _ => 1,
        };
        let values = model.tensor(layer.output).shape.len() + model.tensor(layer.input).shape.len();
        layer.operator.macs() + window * values as u64
    });
    layers.fold(0, u64::saturating_add)
}

fn run(layer: &Layer<'_>, tensors: &[Vec<i8>]) -> Vec<i8> {
    let x = &tensors[layer.input];
    let second = layer.second.map_or(&[][..], |t| &tensors[t]);
    match &layer.operator {
        Operator::Conv(f) => convolution(f, x, false),
        Operator::Depthwise(f) => convolution(f, x, true),
        Operator::Dense(f) => {
            let (weights, bias, multipliers) = unfold(f, false);
            let points = (f.input_zero_point(), f.out().zero_point);
            let y = reference::dense(x, &weights, &bias, &multipliers, points, clamps(&f.out()))
                .collect::<Vec<_>>();
            through_table(&f.out(), y)
        }
        Operator::AveragePool(p) | Operator::MaxPool(p) => {
            let most = matches!(layer.operator, Operator::MaxPool(_));
            let act = (p.min as i8, p.max as i8);
            reference::pool(p.input, p.output, &p.window, act, x, most).collect::<Vec<_>>()
        }
        Operator::Mean(p) => {
            let points = (p.input_zero_point, p.out.zero_point);
            let mut y = reference::mean(p.input, x, p.multiplier, points).collect::<Vec<_>>();
            let (min, max) = clamps(&p.out);
            y.iter_mut().for_each(|q| *q = (*q).clamp(min, max));
            through_table(&p.out, y)
        }
        Operator::Add(p) => {
            let points = [p.zero_points[0], p.zero_points[1], p.output_zero_point];
            let m = [p.multipliers[0], p.multipliers[1], p.output_multiplier];
            let act = (p.min as i8, p.max as i8);
            let pairs = x.iter().zip(second);
            pairs
                .map(|(a, b)| reference::add((*a, *b), points, m, act))
                .collect()
        }
        Operator::Mul(p) => {
            let points = [p.zero_points[0], p.zero_points[1], p.output_zero_point];
            let act = (p.min as i8, p.max as i8);
            let pairs = x.iter().zip(second.iter().cycle());
            pairs
                .map(|(a, b)| reference::mul((*a, *b), points, p.multiplier, act))
                .collect()
        }
        Operator::Lookup(table) => x
            .iter()
            .map(|q| table[usize::from(*q as u8 ^ 0x80)] as i8)
            .collect(),
        Operator::Softmax(_) => {
            let mut y = vec![0; x.len()];
            // Both slices have the length that it asks for.
            let _ = pupil_core::kernels::run(&layer.operator, x, &[], &mut y, &mut []);
            y
        }
    }
}

fn clamps(out: &Output<'_>) -> (i8, i8) {
    (out.min as i8, out.max as i8)
}

fn through_table(out: &Output<'_>, mut y: Vec<i8>) -> Vec<i8> {
    if let Some(table) = out.lookup {
        y.iter_mut()
            .for_each(|q| *q = table[usize::from(*q as u8 ^ 0x80)] as i8);
    }
    y
}

/// Weights as int8, biases without the input's zero point, multipliers.
fn unfold(f: &Filter<'_>, depthwise: bool) -> (Vec<i8>, Vec<i32>, Vec<Multiplier>) {
    let weights: Vec<i8> = pupil_packer::weights::natural_weights(f)
        .iter()
        .map(|w| *w as i8)
        .collect();
    let (taps, out_ch) = (f.taps(), f.output().c);
    let tap = |o: usize, t: usize| match depthwise {
        true => weights[t * out_ch + o],
        false => weights[o * taps + t],
    };
    let (mut bias, mut multipliers) = (Vec::new(), Vec::new());
    for o in 0..out_ch {
        let (folded, multiplier) = f.channel(o);
        let sum: i64 = (0..taps).map(|t| i64::from(tap(o, t))).sum();
        // The parser's bound of |bias| + 128 · 128 · taps holds for this sum, too.
        bias.push((i64::from(folded) + i64::from(f.input_zero_point()) * sum) as i32);
        multipliers.push(multiplier);
    }
    (weights, bias, multipliers)
}

fn convolution(f: &Filter<'_>, x: &[i8], depthwise: bool) -> Vec<i8> {
    let (weights, bias, multipliers) = unfold(f, depthwise);
    let p = Convolution {
        input: f.input(),
        output: f.output(),
        window: f.window(),
        weights: &weights,
        bias: &bias,
        multipliers: &multipliers,
        zero_points: (f.input_zero_point(), f.out().zero_point),
        act: clamps(&f.out()),
    };
    through_table(
        &f.out(),
        reference::convolution(&p, x, depthwise).collect::<Vec<_>>(),
    )
}
