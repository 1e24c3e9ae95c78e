//! Random layers of any shape, zero point, clamp, shift and table, small ones and odd ones first; every
//! third one with constants at the ends of their ranges.

use pupil_core::op::quant::{Affine, Multiplier};
use pupil_core::op::shape::Shape;
use pupil_firmware::cases::Work;
use pupil_packer::{BuildError, Channel, Conv, Fused, Pad, Pool};

use super::{Case, Kind, Random, filter_case, model, networks, zero_point};

/// Case `index` of the series; the same at every call.
///
/// # Errors
/// A layer that can't be packed: a fault of this generator.
pub fn case(index: u64) -> Result<Case, BuildError> {
    let mut random = Random::new(index + 1);
    let r = &mut random;
    let name = |kind: &str| format!("{index:05} {kind}");
    match r.below(10) {
        0..4 => {
            let kernel = (r.of(&[1, 2, 3, 3, 4, 5]), r.of(&[1, 2, 3, 3, 4, 5]));
            filter(&name("conv"), Kind::Conv, kernel, r)
        }
        4..6 => filter(&name("pointwise"), Kind::Conv, (1, 1), r),
        6 => filter(&name("dense"), Kind::Dense, (1, 1), r),
        7..9 => {
            let kernel = r.of(&[(3, 3), (3, 3), (5, 5), (1, 3), (4, 2), (7, 7)]);
            filter(&name("depthwise"), Kind::Depthwise, kernel, r)
        }
        _ => other(&name("other"), r),
    }
}

fn side(r: &mut Random) -> usize {
    r.of(&[1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 16])
}

fn width(r: &mut Random) -> usize {
    r.of(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 16, 20, 24, 32, 36, 40])
}

fn any_affine(r: &mut Random) -> Affine {
    let zero_point = r.of(&[-128, -128, -127, 0, 126, 127, r.clone().int8()]);
    r.word();
    Affine {
        scale: (0.01 + r.unit()) as f32,
        zero_point,
    }
}

fn clamps(r: &mut Random) -> (i8, i8) {
    if r.below(4) > 0 {
        return (-128, 127);
    }
    if r.below(3) == 0 {
        return r.of(&[
            (-128, -128),
            (127, 127),
            (-128, 0),
            (0, 127),
            (-127, 127),
            (-128, 126),
        ]);
    }
    let (a, b) = (r.int8(), r.int8());
    (a.min(b), a.max(b))
}

/// Greatest bias of a channel of `taps` weights: with it every sum still fits 32 bits, the input's zero
/// point folded in.
fn most_bias(taps: usize) -> i32 {
    i32::MAX - 2 * 128 * 128 * taps as i32
}

/// A bias as trainers have it, or at a limit of a layout: 2^22 and 2^23 of the pair layout's odd
/// channels, 2^30 of its even ones, and what 32 bits hold.
fn bias(r: &mut Random, taps: usize, extreme: bool) -> i32 {
    if !extreme {
        return (r.word() as i32) >> r.of(&[12, 16, 20]);
    }
    let most = most_bias(taps);
    let limit = r.of(&[
        0,
        1,
        1 << 21,
        1 << 22,
        1 << 23,
        1 << 24,
        1 << 29,
        1 << 30,
        most,
    ]);
    let near = limit.saturating_add(r.of(&[-1, 0, 1]));
    // Sums may reach a limit before the bias does.
    let less = r.of(&[0, 0, 128 * 127, 128 * 127 * taps as i32]);
    near.saturating_sub(less).clamp(-most, most) * r.of(&[1, -1])
}

/// Shifts around those that spread the outputs over the range, and now and then any at all.
fn multiplier(r: &mut Random, taps: usize, extreme: bool) -> Multiplier {
    if extreme {
        return Multiplier {
            mantissa: r.of(&[0, 1, 1 << 30, (1 << 30) + 1, 1_518_500_250, i32::MAX]),
            shift: r.of(&[-31, -30, -24, -23, -22, -21, -12, -11, -2, -1, 0, 1, 30]),
        };
    }
    let spread = 5400.0 * (taps as f64).sqrt();
    match r.below(24) {
        0 => Multiplier::default(),
        1 => pupil_packer::quantize::multiplier(2f64.powi(r.below(34) as i32 - 31)),
        _ => pupil_packer::quantize::multiplier((0.2 + 2.0 * r.unit()) * 64.0 / spread),
    }
}

fn filter(
    name: &str,
    kind: Kind,
    kernel: (usize, usize),
    r: &mut Random,
) -> Result<Case, BuildError> {
    let mut input = Shape::new(side(r), side(r), width(r));
    let mut out_ch = width(r);
    let stride = if kernel == (1, 1) && r.below(3) > 0 {
        (1, 1)
    } else {
        (r.of(&[1, 1, 2, 3]), r.of(&[1, 1, 2, 3]))
    };
    let taps = match kind {
        Kind::Conv => kernel.0 * kernel.1 * input.c,
        Kind::Depthwise => {
            out_ch = input.c * r.of(&[1, 1, 1, 2]);
            kernel.0 * kernel.1
        }
        Kind::Dense => {
            input = Shape::new(
                r.of(&[1, 1, 2]),
                r.of(&[1, 3]),
                r.of(&[1, 5, 8, 13, 36, 64, 96]),
            );
            input.len()
        }
    };
    // Without padding the kernel must fit into the image.
    let fits = kernel.0 <= input.h && kernel.1 <= input.w;
    let pad = if fits && r.below(3) == 0 {
        Pad::Explicit {
            top: 0,
            left: 0,
            h: (input.h - kernel.0) / stride.0 + 1,
            w: (input.w - kernel.1) / stride.1 + 1,
        }
    } else {
        Pad::Same
    };
    let extreme = r.below(3) == 0;
    let mut weights = r.weights(taps * out_ch);
    if extreme && r.below(3) == 0 {
        let all = r.of(&[129, 127, 0]);
        weights.fill(all);
    }
    if r.below(16) == 0 {
        weights[0] = 128;
    }
    let one = r.below(2) == 0;
    let mut m = multiplier(r, taps, extreme);
    let channels = (0..out_ch)
        .map(|_| {
            let [factor, sum] = [(); 2].map(|()| extreme && r.below(2) == 0);
            if !one {
                m = multiplier(r, taps, factor);
            }
            Channel {
                bias: bias(r, taps, sum),
                multiplier: m,
            }
        })
        .collect();
    let out = any_affine(r);
    let fused = (r.below(4) == 0).then(|| Fused {
        table: core::array::from_fn(|i| (i as u8).wrapping_mul(37) ^ 0x5a),
        out: zero_point(r.int8()),
    });
    let layer = Conv {
        kernel,
        stride,
        pad,
        weights,
        channels,
        out,
        act: clamps(r),
        fused,
    };
    let zero = any_affine(r).zero_point;
    filter_case(name, kind, input, zero, &layer, r)
}

/// Operators without weights; the host's kernels answer, which are tested against the reference.
fn other(name: &str, r: &mut Random) -> Result<Case, BuildError> {
    let input = Shape::new(side(r), side(r), width(r));
    let (first, second, out) = (any_affine(r), any_affine(r), any_affine(r));
    let (act, kind) = (clamps(r), r.below(7));
    let table = core::array::from_fn(|i| (i as u8).wrapping_mul(91));
    let pool = Pool {
        kernel: (r.of(&[1, 2, 3]).min(input.h), r.of(&[1, 2, 3]).min(input.w)),
        stride: (1, 1),
        pad: Pad::Same,
        act,
    };
    let mut shape = input;
    let mut second_len = 0;
    let (packed, index) = model(input, first, |b, x| {
        let y = match kind {
            0 => b.mean(x, out)?,
            1 => {
                second_len = input.len();
                let other = networks::other(b, x, second)?;
                b.add(x, other, out, act)?
            }
            2 => {
                second_len = input.c;
                let gate = b.mean(x, second)?;
                b.mul(x, gate, out, act)?
            }
            3 => b.average_pool(x, pool)?,
            4 => b.max_pool(x, pool)?,
            5 => b.average_pool(
                x,
                Pool {
                    kernel: (input.h, input.w),
                    stride: (input.h, input.w),
                    ..pool
                },
            )?,
            _ => b.lookup(x, &Fused { table, out })?,
        };
        shape = b.shape(y);
        Ok(y)
    })?;
    let in_place = matches!(kind, 1 | 2 | 6) && r.below(2) == 0;
    let mut case = Case {
        name: format!("{name} {kind}"),
        macs: input.len() as u64,
        work: if in_place {
            Work::InPlace(index)
        } else {
            Work::Layer(index)
        },
        model: packed,
        input: r.bytes(input.len()),
        second: r.bytes(second_len),
        expected: vec![0; shape.len()],
    };
    case.expected = case.on_host().map_err(BuildError)?;
    Ok(case)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_kernels_answer_as_the_reference() {
        for index in 0..1000 {
            let case = case(index).unwrap();
            assert!(case.on_host().unwrap() == case.expected, "{}", case.name);
        }
    }
}
