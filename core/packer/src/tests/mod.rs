//! Whole models: built, parsed, damaged in every way, run.

mod damaged;
mod extents;
mod extremes;
mod hostile;
mod streams;
mod whole;

use crate::plan::{Goal, Memory, Plan, Way, any_schedule, schedule};
use crate::quantize::multiplier;
use crate::{BuildError, Channel, Conv, Fused, ModelBuilder, Pad, Pool, TensorId, tables};
use pupil_core::interpreter::Interpreter;
use pupil_core::model::format::CHECKSUM_START as CRC_START;
use pupil_core::model::*;
use pupil_core::op::quant::{Affine, Multiplier};
use pupil_core::op::shape::Shape;
use pupil_core::op::*;

fn affine(scale: f32, zero_point: i8) -> Affine {
    Affine { scale, zero_point }
}

struct Random(u32);

impl Random {
    fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n)
            .map(|_| {
                self.0 = self.0.wrapping_mul(1664525).wrapping_add(1013904223);
                (self.0 >> 16) as u8
            })
            .collect()
    }
}

fn layer(random: &mut Random, weights: usize, out_ch: usize, kernel: usize, stride: usize) -> Conv {
    Conv {
        kernel: (kernel, kernel),
        stride: (stride, stride),
        pad: Pad::Same,
        // No −128: the pair layout takes −127 to 127.
        weights: random
            .bytes(weights)
            .iter()
            .map(|w| if *w == 128 { 129 } else { *w })
            .collect(),
        channels: (0..out_ch)
            .map(|c| Channel {
                bias: c as i32 * 50 - 100,
                multiplier: multiplier(0.003),
            })
            .collect(),
        out: affine(0.05, -10),
        act: (-128, 127),
        fused: None,
    }
}

/// A net with every operator: conv, depthwise, squeeze-and-excitation, residual, pools, lookup.
fn net() -> Vec<u8> {
    let mut r = Random(7);
    let input = InputSpec {
        shape: Shape::new(9, 8, 1),
        format: PixelFormat::Grey8,
        affine: affine(1.0 / 64.0, -20),
    };
    let mut b = ModelBuilder::new(input, &["cat", "dog", "bird"]);
    let silu = |from: Affine| Fused {
        table: tables::silu(from, affine(0.04, -100)),
        out: affine(0.04, -100),
    };
    let stem = Conv {
        fused: Some(silu(affine(0.05, -10))),
        ..layer(&mut r, 4 * 9, 4, 3, 2)
    };
    let x = b.conv(b.input(), stem).unwrap();
    let y = b.conv(x, layer(&mut r, 8 * 4, 8, 1, 1)).unwrap();
    let y = b.depthwise(y, layer(&mut r, 9 * 8, 8, 3, 1)).unwrap();
    let z = b.mean(y, affine(0.03, 5)).unwrap();
    let z = b
        .dense(
            z,
            Conv {
                act: (0, 127),
                ..layer(&mut r, 16, 2, 1, 1)
            },
        )
        .unwrap();
    let gate = Fused {
        table: tables::logistic_table(affine(0.05, -10)),
        out: tables::LOGISTIC_OUTPUT,
    };
    let z = b
        .dense(
            z,
            Conv {
                fused: Some(gate),
                ..layer(&mut r, 16, 8, 1, 1)
            },
        )
        .unwrap();
    let y = b.mul(y, z, affine(0.03, 0), (-128, 127)).unwrap();
    let y = b.conv(y, layer(&mut r, 4 * 8, 4, 1, 1)).unwrap();
    let x = b.add(x, y, affine(0.06, 3), (-128, 127)).unwrap();
    let x = b.lookup(x, &silu(affine(0.06, 3))).unwrap();
    let pool = Pool {
        kernel: (2, 2),
        stride: (1, 1),
        pad: Pad::Same,
        act: (-128, 127),
    };
    let x = b.max_pool(x, pool).unwrap();
    let x = b
        .average_pool(
            x,
            Pool {
                stride: (2, 2),
                ..pool
            },
        )
        .unwrap();
    let flat = b.shape(x).len();
    let x = b.dense(x, layer(&mut r, 3 * flat, 3, 1, 1)).unwrap();
    b.softmax(x).unwrap();
    b.finish().unwrap()
}

fn scores(bytes: &[u8], frame: &[u8]) -> Vec<i8> {
    let model = Model::parse(bytes).unwrap();
    let mut arena = vec![0; model.arena_len()];
    let mut interpreter = Interpreter::new(&model, &mut arena).unwrap();
    interpreter.load(frame).unwrap();
    interpreter.run(&mut ()).unwrap().to_vec()
}

/// Puts the right checksum over changed bytes.
fn mend_checksum(bytes: &mut [u8]) {
    let crc = crc32(&bytes[CRC_START..]).to_le_bytes();
    bytes[12..16].copy_from_slice(&crc);
}
