//! One layer through core: convolutions and pools as packed one-layer models by the interpreter,
//! operators whose multipliers the packer derives from scales by their kernels.

use pupil_core::interpreter::Interpreter;
use pupil_core::kernels::{self, AddParams, MeanParams, MulParams, Output, SoftmaxParams};
use pupil_core::model::{
    BuildError, Channel, Conv, Fused, InputSpec, Model, ModelBuilder, Pad, PixelFormat, Pool,
    TensorId,
};
use pupil_core::quant::{Affine, Multiplier};
use pupil_core::shape::Shape;

use super::vectors::{Layer, Vectors};

/// The layer's output on its own input.
///
/// # Errors
/// Tensors or numbers that are missing or do not fit.
pub fn run(vectors: &Vectors, layer: &Layer) -> Result<Vec<i8>, String> {
    if layer.op == "seq" {
        return sequence(vectors, layer);
    }
    let x = vectors.int8(layer, "x")?;
    let second = if layer.tensors.contains_key("x2") {
        vectors.int8(layer, "x2")?
    } else {
        vec![]
    };
    step(vectors, layer, &x, &second)
}

/// Each step reads what the one before has written. A residual adds the sequence's input; a
/// multiplication scales the map that went into the pooling.
fn sequence(vectors: &Vectors, layer: &Layer) -> Result<Vec<i8>, String> {
    let find = |name: &str| {
        let found = vectors.layers.iter().find(|l| l.name == name);
        found.ok_or_else(|| format!("step `{name}` is no layer"))
    };
    let first = layer.steps.first().ok_or("a sequence without steps")?;
    let input = vectors.int8(find(first)?, "x")?;
    let (mut current, mut map) = (input.clone(), input.clone());
    for name in &layer.steps {
        let part = find(name)?;
        current = match part.op.as_str() {
            "add" => step(vectors, part, &input, &current)?,
            "mul_bcast" => step(vectors, part, &map, &current)?,
            "avgpool" | "mean" => {
                map = current;
                step(vectors, part, &map, &[])?
            }
            _ => step(vectors, part, &current, &[])?,
        };
    }
    Ok(current)
}

fn step(vectors: &Vectors, layer: &Layer, x: &[i8], second: &[i8]) -> Result<Vec<i8>, String> {
    let input = shape(layer.dims(&layer.input));
    let output = shape(layer.dims(&layer.output));
    if x.len() != input.len() || output.is_empty() {
        return Err(format!("{} input values for {input:?}", x.len()));
    }
    let multiplier = Multiplier {
        mantissa: layer.mult,
        shift: layer.shift,
    };
    let (min, max) = layer.clamps();
    let (min, max) = (i32::from(min), i32::from(max));
    let mut y = vec![0; output.len()];
    match layer.op.as_str() {
        "conv2d" | "dwconv2d" | "fc" | "avgpool" | "maxpool" | "lookup" => {
            return packed(vectors, layer, x, input, output).map_err(|e| e.to_string());
        }
        "add" => {
            let p = AddParams {
                zero_points: [-layer.in_off, -layer.in2_off],
                multipliers: [
                    Multiplier {
                        mantissa: layer.in1_mult,
                        shift: layer.in1_shift,
                    },
                    Multiplier {
                        mantissa: layer.in2_mult,
                        shift: layer.in2_shift,
                    },
                ],
                output_multiplier: multiplier,
                output_zero_point: layer.out_off,
                min,
                max,
                table: None,
            };
            if layer.left_shift != 20 || second.len() != x.len() {
                return Err("an addition needs left_shift 20 and two inputs of one size".into());
            }
            kernels::add(&p, x, second, &mut y);
        }
        "mul_bcast" => {
            if second.len() != input.c {
                return Err(format!("{} factors for {} channels", second.len(), input.c));
            }
            let p = MulParams {
                ch: input.c,
                zero_points: [-layer.in_off, -layer.in2_off],
                multiplier,
                output_zero_point: layer.out_off,
                min,
                max,
            };
            kernels::mul(&p, x, second, &mut y, &mut []);
        }
        "mean" => {
            let out = Output {
                zero_point: layer.out_off,
                min,
                max,
                lookup: None,
            };
            let p = MeanParams {
                input,
                input_zero_point: -layer.in_off,
                multiplier,
                out,
            };
            kernels::mean(&p, x, &mut y);
        }
        "softmax" => {
            kernels::softmax(
                &SoftmaxParams {
                    multiplier,
                    diff_min: layer.diff_min,
                },
                x,
                &mut y,
            );
        }
        other => return Err(format!("unknown operator `{other}`")),
    }
    Ok(y)
}

fn shape([h, w, c]: [usize; 3]) -> Shape {
    Shape::new(h, w, c)
}

/// Packs a model of this one layer, parses it and runs it.
fn packed(
    vectors: &Vectors,
    layer: &Layer,
    x: &[i8],
    input: Shape,
    output: Shape,
) -> Result<Vec<i8>, BuildError> {
    let zero_point = |value: i32| {
        i8::try_from(value).map_err(|_| BuildError(format!("zero point {value} is no int8")))
    };
    let affine = Affine {
        scale: 1.0,
        zero_point: zero_point(-layer.in_off)?,
    };
    let spec = InputSpec {
        shape: input,
        format: PixelFormat::Raw8,
        affine,
    };
    // One class per output value, so that the output may be a whole map.
    let labels = vec![""; output.len()];
    let mut builder = ModelBuilder::new(spec, &labels);
    let start = builder.input();
    let last = add_layer(vectors, layer, &mut builder, start, output)?;
    if builder.shape(last) != output {
        return Err(BuildError(format!(
            "output is {:?}, expected {output:?}",
            builder.shape(last)
        )));
    }
    let bytes = builder.finish()?;
    let model = Model::parse(&bytes)?;
    let mut arena = vec![0; model.arena_len()];
    let text = |e: &dyn std::fmt::Display| BuildError(e.to_string());
    let mut interpreter = Interpreter::new(&model, &mut arena).map_err(|e| text(&e))?;
    let frame: Vec<u8> = x.iter().map(|q| (i16::from(*q) + 128) as u8).collect();
    interpreter.load(&frame).map_err(|e| text(&e))?;
    Ok(interpreter.run(&mut ()).to_vec())
}

fn add_layer(
    vectors: &Vectors,
    layer: &Layer,
    builder: &mut ModelBuilder,
    x: TensorId,
    output: Shape,
) -> Result<TensorId, BuildError> {
    let zero_point = i8::try_from(layer.out_off)
        .map_err(|_| BuildError(format!("zero point {} is no int8", layer.out_off)))?;
    let out = Affine {
        scale: 1.0,
        zero_point,
    };
    let pad = Pad::Explicit {
        top: layer.ph,
        left: layer.pw,
        h: output.h,
        w: output.w,
    };
    let input = builder.shape(x);
    // A pooling without a window is global.
    let (kernel, stride) = if layer.kh == 0 {
        ((input.h, input.w), (input.h, input.w))
    } else {
        ((layer.kh, layer.kw), (layer.sh, layer.sw))
    };
    let pool = Pool {
        kernel,
        stride,
        pad,
        act: layer.clamps(),
    };
    match layer.op.as_str() {
        "avgpool" => return builder.average_pool(x, pool),
        "maxpool" => return builder.max_pool(x, pool),
        "lookup" => {
            let table = vectors.int8(layer, "table").map_err(BuildError)?;
            let table = table.iter().map(|v| *v as u8).collect::<Vec<_>>();
            let table = table
                .try_into()
                .map_err(|_| BuildError("a table has 256 values".into()))?;
            return builder.lookup(x, &Fused { table, out });
        }
        _ => {}
    }
    let bias = vectors
        .int32(layer, "b", output.c, None)
        .map_err(BuildError)?;
    let mult = vectors
        .int32(layer, "mult", output.c, Some(layer.mult))
        .map_err(BuildError)?;
    let shift = vectors
        .int32(layer, "shift", output.c, Some(layer.shift))
        .map_err(BuildError)?;
    let channels = bias
        .iter()
        .zip(mult.iter().zip(&shift))
        .map(|(bias, (mantissa, shift))| Channel {
            bias: *bias,
            multiplier: Multiplier {
                mantissa: *mantissa,
                shift: *shift,
            },
        })
        .collect();
    let weights = vectors.int8(layer, "w").map_err(BuildError)?;
    let weights = weights.iter().map(|w| *w as u8).collect();
    let conv = Conv {
        kernel,
        stride,
        pad,
        weights,
        channels,
        out,
        act: layer.clamps(),
        fused: None,
    };
    match layer.op.as_str() {
        "conv2d" => builder.conv(x, conv),
        "dwconv2d" => builder.depthwise(x, conv),
        _ => builder.dense(x, conv),
    }
}
