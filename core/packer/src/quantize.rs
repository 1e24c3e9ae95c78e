//! From real numbers to integers: multipliers, scales and zero points, in f64 as TensorFlow Lite's
//! converter computes them.

use pupil_core::op::quant::{Affine, Multiplier};

/// The nearest multiplier to a real factor (TensorFlow Lite's QuantizeMultiplier). Products
/// and quotients of scales are taken in f64 of f32 scales.
///
/// ```
/// let m = pupil_packer::quantize::multiplier(0.00125);
/// assert_eq!((m.mantissa, m.shift), (1374389535, -9));
/// ```
pub fn multiplier(real: f64) -> Multiplier {
    if real <= 0.0 || !real.is_finite() {
        return Multiplier::default();
    }
    let (fraction, mut shift) = frexp(real);
    let mut mantissa = (fraction * (1i64 << 31) as f64).round() as i64;
    if mantissa == 1 << 31 {
        (mantissa, shift) = (1 << 30, shift + 1);
    }
    if shift < -31 {
        return Multiplier::default();
    }
    if shift > 30 {
        return Multiplier {
            mantissa: i32::MAX,
            shift: 30,
        };
    }
    Multiplier {
        mantissa: mantissa as i32,
        shift,
    }
}

/// x = fraction · 2^exponent with the fraction in 0.5..1, for positive finite x.
pub(crate) fn frexp(x: f64) -> (f64, i32) {
    let exponent = ((x.to_bits() >> 52) & 0x7ff) as i32;
    if exponent == 0 {
        let (fraction, e) = frexp(x * (1u64 << 54) as f64);
        return (fraction, e - 54);
    }
    (
        f64::from_bits((x.to_bits() & !(0x7ff << 52)) | (1022 << 52)),
        exponent - 1022,
    )
}

/// The scale and zero point that cover `min..max`, widened to contain 0, with 0 exact (TensorFlow's
/// nudging; Jacob et al., arXiv 1712.05877, section 3).
pub fn covering(min: f32, max: f32) -> Affine {
    let (min, max) = (min.min(0.0), max.max(0.0));
    let span = if max - min > 1e-12 { max - min } else { 1.0 };
    let scale = span / 255.0;
    let zero_point = (-128.0 - min / scale).round().clamp(-128.0, 127.0) as i8;
    Affine { scale, zero_point }
}

/// The int8 nearest to `real`, ties away from zero, saturated.
pub fn quantize(affine: Affine, real: f32) -> i8 {
    ((real / affine.scale).round() + f32::from(affine.zero_point)).clamp(-128.0, 127.0) as i8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multipliers_from_reals() {
        for (real, mantissa, shift) in [
            (0.0003, 1319413953, -11),
            (0.00125, 1374389535, -9),
            (0.5, 1 << 30, 0),
            (0.99999, 2147462173, 0),
            (1.0, 1 << 30, 1),
            (1.7, 1825361101, 1),
            (0.02, 1374389535, -5),
            (0.0, 0, 0),
            (1e-12, 0, 0),
        ] {
            assert_eq!(multiplier(real), Multiplier { mantissa, shift }, "{real}");
        }
        assert_eq!(frexp(f64::MIN_POSITIVE / 4.0).0, 0.5);
    }

    #[test]
    fn zero_is_exact_in_every_range() {
        for (min, max) in [
            (-1.0, 1.0),
            (0.0, 6.0),
            (-0.3, 20.0),
            (-5.0, 0.0),
            (0.0, 0.0),
        ] {
            let a = covering(min, max);
            assert_eq!(a.dequantize(a.zero_point), 0.0);
            assert_eq!(quantize(a, 0.0), a.zero_point);
            assert!((a.dequantize(quantize(a, max)) - max).abs() <= a.scale);
            assert!((a.dequantize(quantize(a, min)) - min).abs() <= a.scale);
        }
    }
}
