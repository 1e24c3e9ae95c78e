//! Parameters of operators for tensors of given scales.

use pupil_core::op::quant::{Affine, Multiplier};
use pupil_core::op::{AddParams, MulParams, SoftmaxParams, add};

use crate::quantize::multiplier;

/// Parameters of an addition of tensors of these scales and zero points, clamped to `act`.
pub fn add(inputs: [Affine; 2], out: Affine, act: (i8, i8)) -> AddParams<'static> {
    let scales = inputs.map(|a| f64::from(a.scale));
    let twice = 2.0 * scales[0].max(scales[1]);
    let output = twice / (f64::from(1u32 << add::LEFT_SHIFT) * f64::from(out.scale));
    AddParams {
        zero_points: inputs.map(|a| i32::from(a.zero_point)),
        multipliers: scales.map(|s| multiplier(s / twice)),
        output_multiplier: multiplier(output),
        output_zero_point: i32::from(out.zero_point),
        min: i32::from(act.0),
        max: i32::from(act.1),
        table: None,
    }
}

/// Parameters of a multiplication of tensors of these scales and zero points, clamped to `act`.
pub fn mul(ch: usize, inputs: [Affine; 2], out: Affine, act: (i8, i8)) -> MulParams {
    let real = f64::from(inputs[0].scale) * f64::from(inputs[1].scale) / f64::from(out.scale);
    MulParams {
        ch,
        zero_points: inputs.map(|a| i32::from(a.zero_point)),
        multiplier: multiplier(real),
        output_zero_point: i32::from(out.zero_point),
        min: i32::from(act.0),
        max: i32::from(act.1),
    }
}

/// Parameters of a softmax of logits of this scale.
pub fn softmax(scale: f32) -> SoftmaxParams {
    let real = (f64::from(scale) * f64::from(1 << 26)).min(f64::from(i32::MAX));
    let multiplier = multiplier(real);
    let radius = (31i64 << 26) as f64 / 2f64.powi(multiplier.shift);
    let diff_min = -(radius.floor().min(255.0) as i32);
    SoftmaxParams {
        multiplier,
        diff_min,
    }
}

/// The multiplier of a mean over `pixels` values, divided as the reference does: as an integer,
/// with as many extra bits as fit.
pub fn mean_multiplier(real: f64, pixels: usize) -> Multiplier {
    let whole = multiplier(real);
    let extra = (pixels.max(1).ilog2() as i32)
        .min(32)
        .min(31 + whole.shift)
        .max(0);
    let mantissa = (i64::from(whole.mantissa) << extra) / pixels.max(1) as i64;
    Multiplier {
        mantissa: mantissa as i32,
        shift: whole.shift - extra,
    }
}
