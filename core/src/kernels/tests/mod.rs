//! Golden values of TensorFlow Lite's operators, and every kernel against the reference on
//! random shapes, strides, paddings, zero points, clamps and shifts.

mod case;
mod golden;
mod random;

use crate::quant::Affine;

fn affine(scale: f32, zero_point: i8) -> Affine {
    Affine { scale, zero_point }
}
