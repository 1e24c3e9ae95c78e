//! Layers of [`crate::vectors`] as cases: packed models of one layer.

use pupil_core::op::quant::{Affine, Multiplier};
use pupil_core::op::shape::Shape;
use pupil_core::op::{AddParams, MulParams, SoftmaxParams};
use pupil_firmware::cases::Work;
use pupil_packer::{BuildError, Channel, Conv, Fused, ModelBuilder, Pad, Pool, TensorId};

use super::{Case, model, networks};
use crate::vectors::{Layer, Vectors};

/// The case of a layer that is no sequence, on its own inputs.
///
/// # Errors
/// Tensors or numbers that are missing or do not fit, or an unknown operator.
pub fn case(vectors: &Vectors, layer: &Layer) -> Result<Case, String> {
    let x = vectors.int8(layer, "x")?;
    let second = if layer.tensors.contains_key("x2") {
        vectors.int8(layer, "x2")?
    } else {
        vec![]
    };
    let mut case = case_on(vectors, layer, &x, &second)?;
    case.expected = bytes(&vectors.int8(layer, "y")?);
    Ok(case)
}

/// The case of a layer on other inputs; its expected output is zeros of the right number.
///
/// # Errors
/// As [`case`].
pub fn case_on(vectors: &Vectors, layer: &Layer, x: &[i8], second: &[i8]) -> Result<Case, String> {
    let input = shape(layer.dims(&layer.input));
    let output = shape(layer.dims(&layer.output));
    if x.len() != input.len() || output.is_empty() {
        return Err(format!("{} input values for {input:?}", x.len()));
    }
    let wanted = match layer.op.as_str() {
        "add" => input.len(),
        "mul_bcast" => input.c,
        _ => 0,
    };
    if second.len() != wanted {
        return Err(format!("{} second values, needs {wanted}", second.len()));
    }
    let first = affine(-layer.in_off).map_err(|e| e.to_string())?;
    let (packed, index) = model(input, first, |b, x| {
        let y = add_layer(vectors, layer, b, x, output)?;
        if b.shape(y) != output {
            let found = b.shape(y);
            return Err(BuildError(format!(
                "output is {found:?}, expected {output:?}"
            )));
        }
        Ok(y)
    })
    .map_err(|e| e.to_string())?;
    Ok(Case {
        name: layer.name.clone(),
        macs: 1,
        work: Work::Layer(index),
        model: packed,
        input: bytes(x),
        second: bytes(second),
        expected: vec![0; output.len()],
    })
}

fn bytes(values: &[i8]) -> Vec<u8> {
    values.iter().map(|q| *q as u8).collect()
}

fn shape([h, w, c]: [usize; 3]) -> Shape {
    Shape::new(h, w, c)
}

fn affine(zero_point: i32) -> Result<Affine, BuildError> {
    let zero_point = i8::try_from(zero_point)
        .map_err(|_| BuildError(format!("zero point {zero_point} is no int8")))?;
    Ok(super::zero_point(zero_point))
}

fn add_layer(
    vectors: &Vectors,
    layer: &Layer,
    b: &mut ModelBuilder,
    x: TensorId,
    output: Shape,
) -> Result<TensorId, BuildError> {
    let out = affine(layer.out_off)?;
    let pad = Pad::Explicit {
        top: layer.ph,
        left: layer.pw,
        h: output.h,
        w: output.w,
    };
    let input = b.shape(x);
    // A pooling without a window is global.
    let (kernel, stride) = if layer.kh == 0 {
        ((input.h, input.w), (input.h, input.w))
    } else {
        ((layer.kh, layer.kw), (layer.sh, layer.sw))
    };
    let multiplier = |mantissa, shift| Multiplier { mantissa, shift };
    let sum = multiplier(layer.mult, layer.shift);
    let (min, max) = layer.clamps();
    let pool = Pool {
        kernel,
        stride,
        pad,
        act: (min, max),
    };
    let zero_points = [-layer.in_off, -layer.in2_off];
    match layer.op.as_str() {
        "avgpool" => return b.average_pool(x, pool),
        "maxpool" => return b.max_pool(x, pool),
        "lookup" => {
            let table = vectors.int8(layer, "table").map_err(BuildError)?;
            let table = bytes(&table)
                .try_into()
                .map_err(|_| BuildError("a table has 256 values".into()))?;
            return b.lookup(x, &Fused { table, out });
        }
        "mean" => return b.mean_exact(x, out, sum),
        "softmax" => {
            let p = SoftmaxParams {
                multiplier: sum,
                diff_min: layer.diff_min,
            };
            return b.softmax_exact(x, &p);
        }
        "add" => {
            if layer.left_shift != 20 {
                return Err(BuildError("an addition needs left_shift 20".into()));
            }
            let second = networks::other(b, x, affine(zero_points[1])?)?;
            let p = AddParams {
                zero_points,
                multipliers: [
                    multiplier(layer.in1_mult, layer.in1_shift),
                    multiplier(layer.in2_mult, layer.in2_shift),
                ],
                output_multiplier: sum,
                output_zero_point: layer.out_off,
                min: i32::from(min),
                max: i32::from(max),
                table: None,
            };
            return b.add_exact(x, second, &p, out.scale);
        }
        "mul_bcast" => {
            let gate = b.mean(x, affine(zero_points[1])?)?;
            let p = MulParams {
                ch: input.c,
                zero_points,
                multiplier: sum,
                output_zero_point: layer.out_off,
                min: i32::from(min),
                max: i32::from(max),
            };
            return b.mul_exact(x, gate, &p, out.scale);
        }
        "conv2d" | "dwconv2d" | "fc" => {}
        other => return Err(BuildError(format!("unknown operator `{other}`"))),
    }
    let words = |role: &str, otherwise| {
        vectors
            .int32(layer, role, output.c, otherwise)
            .map_err(BuildError)
    };
    let (bias, mult) = (words("b", None)?, words("mult", Some(layer.mult))?);
    let shift = words("shift", Some(layer.shift))?;
    let channels = bias
        .iter()
        .zip(mult.iter().zip(&shift))
        .map(|(bias, (mantissa, shift))| Channel {
            bias: *bias,
            multiplier: multiplier(*mantissa, *shift),
        })
        .collect();
    let conv = Conv {
        kernel,
        stride,
        pad,
        weights: bytes(&vectors.int8(layer, "w").map_err(BuildError)?),
        channels,
        out,
        act: (min, max),
        fused: None,
    };
    match layer.op.as_str() {
        "conv2d" => b.conv(x, conv),
        "dwconv2d" => b.depthwise(x, conv),
        _ => b.dense(x, conv),
    }
}
