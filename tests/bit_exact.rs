//! The packed students layer by layer against the slow reference kernels.

use pupil_core::interpreter::Interpreter;
use pupil_core::kernels::reference::{self, Convolution};
use pupil_core::model::{Layer, Model};
use pupil_core::observer::Observer;
use pupil_core::op::Operator;
use pupil_core::op::quant::Multiplier;
use pupil_core::op::{Filter, Output};
use pupil_firmware::images::Images;

use crate::support::committed;

/// Keeps every layer's output.
struct Keep(Vec<Vec<i8>>);

impl Observer for Keep {
    fn after(&mut self, _: usize, _: &Layer<'_>, output: &[i8]) {
        self.0.push(output.to_vec());
    }
}

/// What the reference computes from the kept inputs.
fn expected(operator: &Operator<'_>, x: &[i8], second: &[i8]) -> Vec<i8> {
    match operator {
        Operator::Conv(f) => convolution(f, x, false),
        Operator::Depthwise(f) => convolution(f, x, true),
        Operator::Dense(f) => {
            let (weights, bias, multipliers) = unfold(f, false);
            let points = (f.input_zero_point(), f.out().zero_point);
            let y = reference::dense(x, &weights, &bias, &multipliers, points, clamps(&f.out()))
                .collect::<Vec<_>>();
            through_table(&f.out(), y)
        }
        Operator::Mean(p) => {
            let points = (p.input_zero_point, p.out.zero_point);
            reference::mean(p.input, x, p.multiplier, points).collect::<Vec<_>>()
        }
        Operator::Add(p) => {
            let points = [p.zero_points[0], p.zero_points[1], p.output_zero_point];
            let m = [p.multipliers[0], p.multipliers[1], p.output_multiplier];
            let act = (p.min as i8, p.max as i8);
            x.iter()
                .zip(second)
                .map(|(a, b)| reference::add((*a, *b), points, m, act))
                .collect()
        }
        Operator::Mul(p) => {
            let points = [p.zero_points[0], p.zero_points[1], p.output_zero_point];
            let act = (p.min as i8, p.max as i8);
            let gate = second.iter().cycle();
            x.iter()
                .zip(gate)
                .map(|(a, b)| reference::mul((*a, *b), points, p.multiplier, act))
                .collect()
        }
        // Softmax is its own specification; golden values in core.
        Operator::Softmax(p) => {
            let mut y = vec![0; x.len()];
            assert!(
                pupil_core::kernels::run(&Operator::Softmax(*p), x, &[], &mut y, &mut []).is_ok()
            );
            y
        }
        other => panic!("the students have no {}", other.name()),
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
    let weight = |o: usize, tap: usize| {
        let at = if depthwise {
            tap * f.output().c + o
        } else {
            o * f.taps() + tap
        };
        i32::from(weights[at])
    };
    let channels: Vec<_> = (0..f.output().c).map(|o| f.channel(o)).collect();
    let sum = |o| (0..f.taps()).map(|tap| weight(o, tap)).sum::<i32>();
    let bias = channels
        .iter()
        .enumerate()
        .map(|(o, c)| c.0 + f.input_zero_point() * sum(o))
        .collect();
    let multipliers = channels.iter().map(|c| c.1).collect();
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

#[test]
fn every_layer_of_the_students_equals_the_reference() {
    let images = committed("images.bin");
    let images = Images::parse(&images).unwrap();
    for name in ["quickstart.pupil", "tiny.pupil"] {
        let bytes = committed(name);
        let model = Model::parse(&bytes).unwrap();
        let mut arena = vec![0; model.arena_len()];
        for i in 0..4 {
            let (_, pixels) = images.get(i).unwrap();
            let mut interpreter = Interpreter::new(&model, &mut arena).unwrap();
            interpreter.load(pixels).unwrap();
            let input: Vec<i8> = interpreter.input_mut().to_vec();
            let mut keep = Keep(vec![input]);
            interpreter.run(&mut keep).unwrap();
            for (k, layer) in model.layers().enumerate() {
                let second = layer.second.map_or(&[][..], |s| &keep.0[s]);
                let wanted = expected(&layer.operator, &keep.0[layer.input], second);
                let found = &keep.0[layer.output];
                let first = found.iter().zip(&wanted).position(|(a, b)| a != b);
                assert_eq!(
                    first,
                    None,
                    "{name}, image {i}, layer {k} ({})",
                    layer.operator.name()
                );
                assert_eq!(found.len(), wanted.len());
            }
        }
    }
}
