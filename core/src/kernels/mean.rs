//! Mean over height and width with a scale of its own (TensorFlow Lite's MEAN): what global
//! average pooling converts to.

use super::Output;
use super::m4::sums::sums;
use crate::quant::Multiplier;
use crate::shape::Shape;

/// Parameters of a mean.
#[derive(Clone, Copy, Debug)]
pub struct MeanParams<'a> {
    /// Input map; the output is 1 x 1 x c.
    pub input: Shape,
    /// Zero point of the input.
    pub input_zero_point: i32,
    /// Input scale over output scale, divided by the number of pixels.
    pub multiplier: Multiplier,
    /// Way of a sum to an int8.
    pub out: Output<'a>,
}

/// The multiplier of a mean over `pixels` values, divided as the reference does: as an integer,
/// with as many extra bits as fit.
#[cfg(feature = "std")]
pub fn mean_multiplier(real: f64, pixels: usize) -> Multiplier {
    let whole = Multiplier::from_real(real);
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

/// `input [h, w, c]` to `output [c]`.
#[inline(never)]
pub fn mean(p: &MeanParams<'_>, input: &[i8], output: &mut [i8]) {
    let c = p.input.c;
    if input.len() < p.input.len() || output.len() < c || c == 0 {
        return;
    }
    let offset = p.input_zero_point * (p.input.h * p.input.w) as i32;
    let input = input.get(..p.input.len()).unwrap_or(&[]);
    sums(input, c, |first, sums| {
        for (y, sum) in output.iter_mut().skip(first).zip(sums) {
            *y = p.out.finish(sum - offset, p.multiplier);
        }
    });
}
