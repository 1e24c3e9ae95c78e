//! Tables of 256 int8 values for the non-linearities behind a convolution, made when a model is
//! packed. Index: the int8 input as u8.

use crate::quantize::{frexp, multiplier};
use pupil_core::op::fixed_point::logistic;
use pupil_core::op::quant::{Affine, rounding_divide_by_pot};

/// The scale and zero point of a logistic output: 1/256, −128.
pub const LOGISTIC_OUTPUT: Affine = Affine {
    scale: 1.0 / 256.0,
    zero_point: -128,
};

fn table(value: impl Fn(i8) -> i8) -> [u8; 256] {
    core::array::from_fn(|i| value(i as u8 as i8) as u8)
}

/// Any function in f64, rounded to the nearest int8, ties away from zero: SiLU and others that
/// TensorFlow Lite has no operator for.
pub fn from_function(input: Affine, output: Affine, f: impl Fn(f64) -> f64) -> [u8; 256] {
    table(|q| {
        let x = f64::from(input.scale) * f64::from(i32::from(q) - i32::from(input.zero_point));
        let steps = (f(x) / f64::from(output.scale)).round() + f64::from(output.zero_point);
        steps.clamp(-128.0, 127.0) as i8
    })
}

/// x σ(x).
pub fn silu(input: Affine, output: Affine) -> [u8; 256] {
    from_function(input, output, |x| x / (1.0 + (-x).exp()))
}

/// TensorFlow Lite's LOGISTIC to the bit; the output is [`LOGISTIC_OUTPUT`].
pub fn logistic_table(input: Affine) -> [u8; 256] {
    let real = f64::from(input.scale) * f64::from(1 << 27);
    let factor = multiplier(real);
    let radius = (15.0 * f64::from(1 << 27) / 2f64.powi(frexp(real).1)).floor();
    table(|q| {
        let centered = i32::from(q) - i32::from(input.zero_point);
        if f64::from(centered) <= -radius {
            -128
        } else if f64::from(centered) >= radius {
            127
        } else {
            let y = logistic(factor.apply(centered));
            (rounding_divide_by_pot(y, 23) - 128).clamp(-128, 127) as i8
        }
    })
}

/// TensorFlow Lite's HARD_SWISH to the bit: 16-bit arithmetic, the last product truncated.
pub fn hard_swish_table(input: Affine, output: Affine) -> [u8; 256] {
    let high_resolution = input.scale / 128.0;
    let sixteen = |real: f64| {
        let m = multiplier(real);
        let mantissa = ((i64::from(m.mantissa) + (1 << 15)) >> 16).min(32767) as i16;
        (mantissa, m.shift)
    };
    let (out_mantissa, out_shift) = sixteen(f64::from(high_resolution / output.scale));
    let (relu_mantissa, relu_shift) = sixteen(f64::from(high_resolution / (3.0 / 32768.0)));
    let shift_left = |x: i16, by: i32| -> i16 {
        (i64::from(x) << by).clamp(i64::from(i16::MIN), i64::from(i16::MAX)) as i16
    };
    table(|q| {
        let high = ((i32::from(q) - i32::from(input.zero_point)) * 128) as i16;
        let preshift = high_multiply_16(high, out_mantissa);
        let mut relu = high;
        if relu_shift > 0 {
            relu = shift_left(relu, relu_shift - 1);
        }
        relu = high_multiply_16(relu, relu_mantissa);
        if relu_shift > 0 {
            relu = shift_left(relu, 1);
        }
        if relu_shift < 0 {
            relu = rounding_divide_by_pot(i32::from(relu), relu_shift.unsigned_abs()) as i16;
        }
        let relu = (i32::from(relu) + (1 << 15)) >> 1;
        let product = (relu * i32::from(preshift)) / (1 << 15);
        let scaled = rounding_divide_by_pot(product, (-out_shift).max(0) as u32);
        (scaled + i32::from(output.zero_point)).clamp(-128, 127) as i8
    })
}

/// The 16-bit rounding doubling high multiply.
fn high_multiply_16(a: i16, b: i16) -> i16 {
    if a == i16::MIN && b == i16::MIN {
        return i16::MAX;
    }
    let product = i32::from(a) * i32::from(b);
    let nudge = if product >= 0 { 1 << 14 } else { 1 - (1 << 14) };
    ((product + nudge) / (1 << 15)) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of q = −128 to 127 as (value, how often in a row), computed with TensorFlow Lite's
    /// reference.
    type Runs = &'static [(i8, u8)];

    #[rustfmt::skip]
    const LOGISTIC: Runs = &[(-128, 7), (-127, 22), (-126, 10), (-125, 7), (-124, 5), (-123, 4), (-122, 4), (-121, 2), (-120, 3), (-119, 2), (-118, 2), (-117, 2), (-116, 2), (-115, 2), (-114, 1), (-113, 2), (-112, 1), (-111, 1), (-110, 1), (-109, 2), (-108, 1), (-107, 1), (-106, 1), (-105, 1), (-104, 1), (-102, 1), (-101, 1), (-100, 1), (-99, 1), (-97, 1), (-96, 1), (-95, 1), (-93, 1), (-92, 1), (-90, 1), (-88, 1), (-87, 1), (-85, 1), (-83, 1), (-81, 1), (-79, 1), (-77, 1), (-75, 1), (-73, 1), (-71, 1), (-69, 1), (-66, 1), (-64, 1), (-62, 1), (-59, 1), (-57, 1), (-54, 1), (-51, 1), (-49, 1), (-46, 1), (-43, 1), (-40, 1), (-37, 1), (-34, 1), (-31, 1), (-28, 1), (-25, 1), (-22, 1), (-19, 1), (-16, 1), (-13, 1), (-10, 1), (-6, 1), (-3, 1), (0, 1), (3, 1), (6, 1), (10, 1), (13, 1), (16, 1), (19, 1), (22, 1), (25, 1), (28, 1), (31, 1), (34, 1), (37, 1), (40, 1), (43, 1), (46, 1), (49, 1), (51, 1), (54, 1), (57, 1), (59, 1), (62, 1), (64, 1), (66, 1), (69, 1), (71, 1), (73, 1), (75, 1), (77, 1), (79, 1), (81, 1), (83, 1), (85, 1), (87, 1), (88, 1), (90, 1), (92, 1), (93, 1), (95, 1), (96, 1), (97, 1), (99, 1), (100, 1), (101, 1), (102, 1), (104, 1), (105, 1), (106, 1), (107, 1), (108, 1), (109, 2), (110, 1), (111, 1), (112, 1), (113, 2), (114, 1), (115, 2), (116, 2), (117, 2), (118, 2), (119, 2), (120, 3), (121, 2), (122, 4), (123, 4), (124, 5), (125, 7), (126, 10), (127, 22)];

    #[rustfmt::skip]
    const HARD_SWISH: Runs = &[(-110, 74), (-111, 1), (-112, 2), (-113, 1), (-114, 1), (-115, 2), (-116, 2), (-117, 2), (-118, 2), (-119, 3), (-120, 5), (-121, 7), (-120, 5), (-119, 3), (-118, 2), (-117, 2), (-116, 2), (-115, 2), (-114, 1), (-113, 1), (-112, 2), (-111, 1), (-110, 1), (-109, 1), (-108, 1), (-107, 1), (-106, 1), (-105, 1), (-104, 1), (-103, 1), (-102, 1), (-101, 1), (-100, 1), (-98, 1), (-97, 1), (-96, 1), (-95, 1), (-93, 1), (-92, 1), (-90, 1), (-89, 1), (-88, 1), (-86, 1), (-84, 1), (-83, 1), (-81, 1), (-80, 1), (-78, 1), (-76, 1), (-74, 1), (-73, 1), (-71, 1), (-69, 1), (-67, 1), (-65, 1), (-63, 1), (-61, 1), (-59, 1), (-57, 1), (-55, 1), (-53, 1), (-50, 1), (-48, 1), (-46, 1), (-44, 1), (-41, 1), (-39, 1), (-37, 1), (-34, 1), (-32, 1), (-29, 1), (-27, 1), (-24, 1), (-23, 1), (-21, 1), (-19, 1), (-17, 1), (-16, 1), (-14, 1), (-12, 1), (-11, 1), (-9, 1), (-7, 1), (-5, 1), (-4, 1), (-2, 1), (0, 1), (1, 1), (3, 1), (5, 1), (7, 1), (8, 1), (10, 1), (12, 1), (13, 1), (15, 1), (17, 1), (19, 1), (20, 1), (22, 1), (24, 1), (25, 1), (27, 1), (29, 1), (31, 1), (32, 1), (34, 1), (36, 1), (37, 1), (39, 1), (41, 1), (43, 1), (44, 1), (46, 1), (48, 1), (49, 1), (51, 1), (53, 1), (55, 1), (56, 1), (58, 1), (60, 1), (61, 1), (63, 1), (65, 1), (67, 1), (68, 1), (70, 1), (72, 1), (73, 1), (75, 1), (77, 1), (79, 1), (80, 1), (82, 1), (84, 1), (85, 1), (87, 1), (89, 1), (91, 1), (92, 1), (94, 1), (96, 1), (97, 1), (99, 1), (101, 1), (103, 1), (104, 1), (106, 1), (108, 1), (109, 1), (111, 1), (113, 1), (115, 1), (116, 1)];

    fn assert_equal(table: &[u8; 256], expected: Runs) {
        let expected: Vec<i8> = expected
            .iter()
            .flat_map(|(v, n)| core::iter::repeat_n(*v, usize::from(*n)))
            .collect();
        let found: Vec<i8> = (-128..=127i8)
            .map(|q| table[usize::from(q as u8)] as i8)
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn logistic_equals_tensorflow_lite() {
        assert_equal(
            &logistic_table(Affine {
                scale: 0.05,
                zero_point: 3,
            }),
            LOGISTIC,
        );
    }

    #[test]
    fn hard_swish_equals_tensorflow_lite() {
        let input = Affine {
            scale: 0.06,
            zero_point: -5,
        };
        let output = Affine {
            scale: 0.035,
            zero_point: -110,
        };
        assert_equal(&hard_swish_table(input, output), HARD_SWISH);
    }

    #[test]
    fn silu_is_within_half_a_step() {
        let input = Affine {
            scale: 0.05,
            zero_point: 10,
        };
        let output = crate::quantize::covering(-0.3, 6.0);
        let table = silu(input, output);
        for q in -128..=127i8 {
            let x = f64::from(input.dequantize(q));
            let y = x / (1.0 + (-x).exp());
            let got = f64::from(output.dequantize(table[usize::from(q as u8)] as i8));
            assert!(
                (got - y).abs() <= 0.5001 * f64::from(output.scale) || y > 6.0,
                "{q}"
            );
        }
    }
}
