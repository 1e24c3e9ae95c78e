//! The layers that other kernels have been counted on: the same shapes and zero points, own
//! weights.

use pupil_core::op::quant::Affine;
use pupil_core::op::shape::Shape;
use pupil_firmware::cases::Work;
use pupil_packer::{BuildError, Conv, Pad, Pool};

use super::{Case, Kind, Random, channels, filter_case, model, networks, zero_point};

/// A convolution-like layer: kind, input, output channels, kernel, stride, zero points.
type Layer = (
    &'static str,
    Kind,
    [usize; 3],
    usize,
    usize,
    usize,
    (i8, i8),
);

const LAYERS: [Layer; 15] = [
    (
        "pw_16x16x32_64",
        Kind::Conv,
        [16, 16, 32],
        64,
        1,
        1,
        (-3, -128),
    ),
    ("pw_8x8x96_24", Kind::Conv, [8, 8, 96], 24, 1, 1, (-128, -4)),
    (
        "mb_expand_16x16x24_144",
        Kind::Conv,
        [16, 16, 24],
        144,
        1,
        1,
        (-4, -128),
    ),
    (
        "mb_project_16x16x144_24",
        Kind::Conv,
        [16, 16, 144],
        24,
        1,
        1,
        (-128, -4),
    ),
    (
        "conv3x3s2_32x32x3_16",
        Kind::Conv,
        [32, 32, 3],
        16,
        3,
        2,
        (-1, -128),
    ),
    (
        "conv3x3s1_16x16x16_16",
        Kind::Conv,
        [16, 16, 16],
        16,
        3,
        1,
        (-128, -128),
    ),
    (
        "dw3x3s1_16x16x64",
        Kind::Depthwise,
        [16, 16, 64],
        64,
        3,
        1,
        (-128, -128),
    ),
    (
        "dw3x3s2_16x16x64",
        Kind::Depthwise,
        [16, 16, 64],
        64,
        3,
        2,
        (-128, -128),
    ),
    (
        "dw5x5s1_8x8x96",
        Kind::Depthwise,
        [8, 8, 96],
        96,
        5,
        1,
        (-128, -128),
    ),
    (
        "mb_dw3x3_16x16x144",
        Kind::Depthwise,
        [16, 16, 144],
        144,
        3,
        1,
        (-128, -128),
    ),
    ("fc_256_10", Kind::Dense, [1, 1, 256], 10, 1, 1, (-128, 11)),
    (
        "fc_64_256",
        Kind::Dense,
        [1, 1, 64],
        256,
        1,
        1,
        (-128, -128),
    ),
    (
        "se36_fc_144_36_relu",
        Kind::Dense,
        [1, 1, 144],
        36,
        1,
        1,
        (-128, -128),
    ),
    (
        "se36_fc_36_144_hsig",
        Kind::Dense,
        [1, 1, 36],
        144,
        1,
        1,
        (-128, 0),
    ),
    (
        "se6_fc_6_144_hsig",
        Kind::Dense,
        [1, 1, 6],
        144,
        1,
        1,
        (-128, 0),
    ),
];

/// All cases, in the order of the table.
///
/// # Errors
/// A case that can't be packed.
pub fn all() -> Result<Vec<Case>, BuildError> {
    let mut cases = Vec::new();
    for (seed, (name, kind, [h, w, c], out_ch, kernel, stride, zero_points)) in (101..).zip(LAYERS)
    {
        let mut random = Random::new(seed);
        let input = Shape::new(h, w, c);
        let taps = match kind {
            Kind::Depthwise => kernel * kernel,
            _ => kernel * kernel * c,
        };
        let layer = Conv {
            kernel: (kernel, kernel),
            stride: (stride, stride),
            pad: Pad::Same,
            weights: random.weights(taps * out_ch),
            channels: channels(&mut random, taps, out_ch),
            out: zero_point(zero_points.1),
            act: (-128, 127),
            fused: None,
        };
        cases.push(filter_case(
            name,
            kind,
            input,
            zero_points.0,
            &layer,
            &mut random,
        )?);
    }
    for (name, shape) in [
        ("gap_8x8x96", [8, 8, 96]),
        ("se36_gap_16x16x144", [16, 16, 144]),
    ] {
        cases.push(average(name, shape)?);
    }
    cases.push(add("add_16x16x24", [0.05, 0.04, 0.06], [-3, 5, 2])?);
    cases.push(add(
        "mb_residual_16x16x24",
        [0.05, 0.045, 0.06],
        [-4, -4, 1],
    )?);
    cases.push(multiply("se36_mul_16x16x144")?);
    cases.extend(networks::all()?);
    Ok(cases)
}

fn finish(mut case: Case) -> Result<Case, BuildError> {
    case.expected = case.on_host().map_err(BuildError)?;
    Ok(case)
}

fn average(name: &str, [h, w, c]: [usize; 3]) -> Result<Case, BuildError> {
    let input = Shape::new(h, w, c);
    let (packed, index) = model(input, zero_point(-128), |b, x| {
        let pool = Pool {
            kernel: (h, w),
            stride: (h, w),
            pad: Pad::Same,
            act: (-128, 127),
        };
        b.average_pool(x, pool)
    })?;
    finish(Case {
        name: name.into(),
        macs: input.len() as u64,
        work: Work::Layer(index),
        model: packed,
        input: Random::new(110).bytes(input.len()),
        second: vec![],
        expected: vec![0; c],
    })
}

fn add(name: &str, scales: [f32; 3], zero_points: [i8; 3]) -> Result<Case, BuildError> {
    let input = Shape::new(16, 16, 24);
    let affine = |i: usize| Affine {
        scale: scales[i],
        zero_point: zero_points[i],
    };
    let (packed, index) = model(input, affine(0), |b, x| {
        let second = networks::other(b, x, affine(1))?;
        b.add(x, second, affine(2), (-128, 127))
    })?;
    let mut random = Random::new(111);
    finish(Case {
        name: name.into(),
        macs: input.len() as u64,
        work: Work::Layer(index),
        model: packed,
        input: random.bytes(input.len()),
        second: random.bytes(input.len()),
        expected: vec![0; input.len()],
    })
}

fn multiply(name: &str) -> Result<Case, BuildError> {
    let input = Shape::new(16, 16, 144);
    let affine = |scale, zero_point| Affine { scale, zero_point };
    let (packed, index) = model(input, affine(0.04, -128), |b, x| {
        let gate = b.mean(x, affine(1.0 / 256.0, -128))?;
        b.mul(x, gate, affine(0.025, -128), (-128, 127))
    })?;
    let mut random = Random::new(133);
    finish(Case {
        name: name.into(),
        macs: input.len() as u64,
        work: Work::Layer(index),
        model: packed,
        input: random.bytes(input.len()),
        second: random.bytes(144),
        expected: vec![0; input.len()],
    })
}
