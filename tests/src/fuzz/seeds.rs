//! Valid models that mutants are made of: the layers and networks of the other fuzz, and small
//! networks of every operator with windows of any padding, in every kind of schedule.

use pupil_core::model::InputSpec;
use pupil_core::model::PixelFormat;
use pupil_core::op::quant::Affine;
use pupil_core::op::shape::Shape;
use pupil_packer::plan::{Goal, Memory, any_schedule, schedule};
use pupil_packer::{BuildError, Channel, Conv, Fused, ModelBuilder, Pad};
use pupil_packer::{Pool, TensorId};

use crate::cases::{Random, blocks, channels, random, zero_point};

/// Seed `index`: the same at every call.
///
/// # Panics
/// Where this project's own builder makes no model of it.
pub fn seed(index: u64) -> Vec<u8> {
    let packed = match index % 6 {
        0 => random::case(index).map(|case| case.model),
        1 => blocks::case(index).map(|case| case.model),
        _ => network(index),
    };
    packed.unwrap_or_else(|e| panic!("seed {index}: {e}"))
}

/// A network of a few layers in a schedule of chance.
fn network(index: u64) -> Result<Vec<u8>, BuildError> {
    let mut random = Random::new(index + 9000);
    let r = &mut random;
    let sides = [1, 2, 3, 4, 5, 6, 7, 8, 10, 13];
    let spec = InputSpec {
        shape: Shape::new(
            r.of(&sides),
            r.of(&sides),
            r.of(&[1, 2, 3, 4, 5, 8, 12, 16]),
        ),
        format: PixelFormat::Raw8,
        affine: affine(r),
    };
    let mut b = ModelBuilder::new(spec, &[]);
    let mut maps = vec![b.input()];
    for _ in 0..1 + r.below(7) {
        let x = match r.below(4) {
            0 => r.of(&maps),
            _ => maps[maps.len() - 1],
        };
        let y = layer(&mut b, x, &maps, r)?;
        maps.push(y);
    }
    let mut last = maps[maps.len() - 1];
    if r.below(2) == 0 {
        if r.below(2) == 0 {
            let out = affine(r);
            last = b.mean(last, out)?;
        }
        last = dense(&mut b, last, r.clone().below(12) + 1, r)?;
        if r.below(2) == 0 {
            last = b.softmax(last)?;
        }
    }
    let labels = vec![""; b.shape(last).len()];
    b.set_labels(&labels);
    let packed = b.finish()?;
    let frame_by_rows = r.below(2) == 0;
    match r.below(5) {
        0 => Ok(packed),
        1 => {
            let goal = Goal::Smallest;
            schedule(
                &packed,
                Memory {
                    goal,
                    frame_by_rows,
                },
            )
        }
        _ => any_schedule(&packed, frame_by_rows, |n| r.below(n)),
    }
}

fn affine(r: &mut Random) -> Affine {
    let zero = r.int8();
    Affine {
        scale: 0.02 + r.unit() as f32 / 10.0,
        zero_point: r.of(&[-128, -128, 0, zero]),
    }
}

fn act(r: &mut Random) -> (i8, i8) {
    let (a, b) = (r.int8(), r.int8());
    r.of(&[(-128, 127), (-128, 127), (-128, 127), (a.min(b), a.max(b))])
}

fn fused(r: &mut Random) -> Option<Fused> {
    let table = r.bytes(256);
    let out = affine(r);
    let table = core::array::from_fn(|i| table[i]);
    (r.below(4) == 0).then_some(Fused { table, out })
}

/// SAME, or rows and columns cut off or added at any side.
fn pad(input: Shape, kernel: (usize, usize), stride: (usize, usize), r: &mut Random) -> Pad {
    // One pixel at a time is a matrix product: both maps have the same pixels.
    if r.below(2) == 0 || (kernel, stride) == ((1, 1), (1, 1)) {
        return Pad::Same;
    }
    let (top, left) = (r.below(kernel.0), r.below(kernel.1));
    let most = |len: usize, pad: usize, stride: usize| (len + pad - 1) / stride + 1;
    let (h, w) = (most(input.h, top, stride.0), most(input.w, left, stride.1));
    Pad::Explicit {
        top,
        left,
        h: h.saturating_sub(r.below(3)).max(1),
        w: w.saturating_sub(r.below(3)).max(1),
    }
}

fn filter(input: Shape, window: bool, depthwise: bool, out_ch: usize, r: &mut Random) -> Conv {
    let kernel = match (window, depthwise) {
        (false, _) => (1, 1),
        (_, true) => r.of(&[(3, 3), (3, 3), (5, 5), (2, 2), (1, 3), (4, 3)]),
        _ => r.of(&[(3, 3), (2, 2), (1, 2), (5, 5), (3, 1)]),
    };
    let stride = r.of(&[(1, 1), (1, 1), (2, 2), (1, 2), (3, 1)]);
    let stride = if window || r.below(3) == 0 {
        stride
    } else {
        (1, 1)
    };
    let taps = kernel.0 * kernel.1 * if depthwise { 1 } else { input.c };
    Conv {
        kernel,
        stride,
        pad: pad(input, kernel, stride, r),
        weights: r.weights(taps * out_ch),
        channels: channels(r, taps, out_ch),
        out: affine(r),
        act: act(r),
        fused: fused(r),
    }
}

fn dense(
    b: &mut ModelBuilder,
    x: TensorId,
    out: usize,
    r: &mut Random,
) -> Result<TensorId, BuildError> {
    let taps = b.shape(x).len();
    let mut layer = Conv::dense(r.weights(taps * out), channels(r, taps, out), affine(r));
    (layer.act, layer.fused) = (act(r), fused(r));
    if r.below(4) == 0 {
        // A left shift: no packed layout has it.
        layer.channels = vec![
            Channel {
                bias: 5,
                multiplier: pupil_packer::quantize::multiplier(1.5)
            };
            out
        ];
    }
    b.dense(x, layer)
}

/// One layer of chance on `x`.
fn layer(
    b: &mut ModelBuilder,
    x: TensorId,
    maps: &[TensorId],
    r: &mut Random,
) -> Result<TensorId, BuildError> {
    let input = b.shape(x);
    match r.below(14) {
        0 | 1 => {
            let out_ch = r.of(&[1, 3, 4, 5, 8, 12, 16, 20]);
            let layer = filter(input, true, false, out_ch, r);
            b.conv(x, layer)
        }
        2..=4 => {
            let out_ch = r.of(&[2, 4, 6, 8, 16, 24]);
            let layer = filter(input, false, false, out_ch, r);
            b.conv(x, layer)
        }
        5..=7 => {
            let out_ch = input.c * r.of(&[1, 1, 1, 1, 2]);
            let layer = filter(input, true, true, out_ch.min(32), r);
            if out_ch > 32 {
                return b.lookup(x, &table(r));
            }
            b.depthwise(x, layer)
        }
        8 => {
            let kernel = r.of(&[(1, 1), (2, 2), (3, 3), (2, 1)]);
            let stride = r.of(&[(1, 1), (2, 2), (1, 2)]);
            let pad = pad(input, kernel, stride, r);
            let act = act(r);
            let pool = Pool {
                kernel,
                stride,
                pad,
                act,
            };
            match r.below(2) {
                0 => b.average_pool(x, pool),
                _ => b.max_pool(x, pool),
            }
        }
        9 | 10 => {
            let alike = maps.iter().copied().filter(|m| b.shape(*m) == input);
            let alike: Vec<TensorId> = alike.collect();
            let (other, out, act) = (r.of(&alike), affine(r), act(r));
            if r.below(2) == 0 {
                return b.add(x, other, out, act);
            }
            let affines = [b.affine(x), b.affine(other)];
            let mut p = pupil_packer::params::add(affines, out, act);
            p.output_multiplier.shift += r.of(&[-1, 0, 1, 2]);
            b.add_exact(x, other, &p, out.scale)
        }
        11 | 12 => {
            let out = affine(r);
            let pooled = b.mean(x, out)?;
            let gate = match r.below(2) {
                0 => pooled,
                _ => dense(b, pooled, input.c, r)?,
            };
            let (out, act) = (affine(r), act(r));
            b.mul(x, gate, out, act)
        }
        _ => b.lookup(x, &table(r)),
    }
}

fn table(r: &mut Random) -> Fused {
    let bytes = r.bytes(256);
    Fused {
        table: core::array::from_fn(|i| bytes[i]),
        out: zero_point(r.int8()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzz::oracle::{Limits, Verdict, judge};

    #[test]
    fn every_seed_is_right() {
        for index in 0..super::super::SEEDS {
            let model = seed(index);
            let limits = Limits {
                work: 1 << 24,
                ..Limits::default()
            };
            match judge(&model, &mut Random::new(index), limits) {
                Ok(Verdict::Right(_)) => {}
                other => panic!("seed {index}: {other:?}"),
            }
        }
    }
}
