//! Fixed-point arithmetic of TensorFlow Lite's int8 reference: the only place that rounds.
//!
//! Real value r = scale (q − zero_point). A product of scales becomes a [`Multiplier`]: a Q31
//! mantissa and a shift. Requantization rounds twice, as TensorFlow Lite Micro and CMSIS-NN do by
//! default: once in the doubling high multiply, once in the division by a power of two. Other
//! runtimes round once; on about 3 % of realistic values they differ by one.

/// High half of 2ab with rounding, saturated in the one case that overflows (gemmlowp's
/// SaturatingRoundingDoublingHighMul). Ties round toward +∞.
///
/// ```
/// use pupil_core::quant::saturating_rounding_doubling_high_mul as srdhm;
/// assert_eq!(srdhm(3, 1 << 30), 2);
/// assert_eq!(srdhm(-3, 1 << 30), -1);
/// ```
#[inline(always)]
pub fn saturating_rounding_doubling_high_mul(a: i32, b: i32) -> i32 {
    if a == i32::MIN && b == i32::MIN {
        return i32::MAX;
    }
    // trunc((ab + nudge) / 2^31) with nudge 2^30 or 1 − 2^30 equals floor((ab + 2^30) / 2^31).
    ((i64::from(a) * i64::from(b) + (1 << 30)) >> 31) as i32
}

/// x / 2^exponent, ties away from zero (gemmlowp's RoundingDivideByPOT); exponent 0 to 31.
#[inline(always)]
pub fn rounding_divide_by_pot(x: i32, exponent: u32) -> i32 {
    let mask = ((1u32 << exponent) - 1) as i32;
    let remainder = x & mask;
    let threshold = (mask >> 1) + i32::from(x < 0);
    (x >> exponent) + i32::from(remainder > threshold)
}

/// A positive real factor: mantissa / 2^31 · 2^shift.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Multiplier {
    /// Q31, in 2^30..2^31, or 0 for a factor too small to matter.
    pub mantissa: i32,
    /// Above 0 shifts left before, below 0 divides after; −31 to 30.
    pub shift: i32,
}

impl Multiplier {
    /// x times the factor, rounded twice (TensorFlow Lite's MultiplyByQuantizedMultiplier).
    ///
    /// A left shift wraps as it does on the chip; the packer keeps sums small enough.
    #[inline(always)]
    pub fn apply(self, x: i32) -> i32 {
        let (left, right) = if self.shift > 0 {
            (self.shift as u32, 0)
        } else {
            (0, -self.shift as u32)
        };
        let high = saturating_rounding_doubling_high_mul(x.wrapping_shl(left), self.mantissa);
        rounding_divide_by_pot(high, right)
    }

    /// Whether the shifts are ones that [`Multiplier::apply`] can do.
    pub const fn is_valid(self) -> bool {
        self.mantissa >= 0 && self.shift >= -31 && self.shift <= 30
    }

    /// The nearest multiplier to a real factor (TensorFlow Lite's QuantizeMultiplier). Products
    /// and quotients of scales are taken in f64 of f32 scales.
    ///
    /// ```
    /// # use pupil_core::quant::Multiplier;
    /// let m = Multiplier::from_real(0.00125);
    /// assert_eq!((m.mantissa, m.shift), (1374389535, -9));
    /// ```
    #[cfg(feature = "std")]
    pub fn from_real(real: f64) -> Self {
        if real <= 0.0 || !real.is_finite() {
            return Self::default();
        }
        let (fraction, mut shift) = frexp(real);
        let mut mantissa = (fraction * (1i64 << 31) as f64).round() as i64;
        if mantissa == 1 << 31 {
            (mantissa, shift) = (1 << 30, shift + 1);
        }
        if shift < -31 {
            return Self::default();
        }
        if shift > 30 {
            return Self {
                mantissa: i32::MAX,
                shift: 30,
            };
        }
        Self {
            mantissa: mantissa as i32,
            shift,
        }
    }
}

/// x = fraction · 2^exponent with the fraction in 0.5..1, for positive finite x.
#[cfg(feature = "std")]
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

/// Scale and zero point of a tensor: r = scale (q − zero_point).
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Affine {
    /// Real value of one step.
    pub scale: f32,
    /// The integer that stands for 0.
    pub zero_point: i8,
}

#[cfg(feature = "std")]
impl Affine {
    /// The scale and zero point that cover `min..max`, widened to contain 0, with 0 exact
    /// (TensorFlow's nudging; Jacob et al., arXiv 1712.05877, section 3).
    pub fn covering(min: f32, max: f32) -> Self {
        let (min, max) = (min.min(0.0), max.max(0.0));
        let span = if max - min > 1e-12 { max - min } else { 1.0 };
        let scale = span / 255.0;
        let zero_point = (-128.0 - min / scale).round().clamp(-128.0, 127.0) as i8;
        Self { scale, zero_point }
    }

    /// The nearest int8, ties away from zero, saturated.
    pub fn quantize(&self, real: f32) -> i8 {
        ((real / self.scale).round() + f32::from(self.zero_point)).clamp(-128.0, 127.0) as i8
    }

    /// The real value of `q`.
    pub fn dequantize(&self, q: i8) -> f32 {
        self.scale * (i32::from(q) - i32::from(self.zero_point)) as f32
    }
}

/// Bytes of one channel's record in a packed model: bias, mantissa, shift, each an i32.
pub const CHANNEL_BYTES: usize = 12;

/// Bias and multiplier of each output channel, read in place.
#[derive(Clone, Copy, Debug)]
pub struct ChannelQuant<'a> {
    records: &'a [[u8; CHANNEL_BYTES]],
}

impl<'a> ChannelQuant<'a> {
    /// Over records of 12 bytes; a rest shorter than that is not looked at.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            records: bytes.as_chunks().0,
        }
    }

    /// Number of channels.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Bias (input zero point folded in) and multiplier of channel `c`; zeros beyond the last.
    #[inline(always)]
    pub fn get(&self, c: usize) -> (i32, Multiplier) {
        match self.records.get(c) {
            Some(&[b0, b1, b2, b3, m0, m1, m2, m3, s0, s1, s2, s3]) => (
                i32::from_le_bytes([b0, b1, b2, b3]),
                Multiplier {
                    mantissa: i32::from_le_bytes([m0, m1, m2, m3]),
                    shift: i32::from_le_bytes([s0, s1, s2, s3]),
                },
            ),
            None => (0, Multiplier::default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::saturating_rounding_doubling_high_mul as srdhm;
    use super::*;

    #[test]
    fn high_multiply_golden_values() {
        for (a, b, expected) in [
            (1 << 30, 1 << 30, 536870912),
            (i32::MIN, i32::MIN, i32::MAX),
            (i32::MIN, i32::MAX, -2147483647),
            (123456789, -987654321, -56779306),
            (-1, 1 << 30, 0),
            (1, 1 << 30, 1),
            (-3, 1 << 30, -1),
            (3, 1 << 30, 2),
        ] {
            assert_eq!(srdhm(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn high_multiply_equals_the_truncating_definition() {
        let edges = [
            i32::MIN,
            i32::MIN + 1,
            -(1 << 30),
            -3,
            -2,
            -1,
            0,
            1,
            2,
            3,
            1 << 30,
            i32::MAX,
        ];
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1664525).wrapping_add(1013904223);
            state as i32
        };
        let random: [i32; 2000] = core::array::from_fn(|_| next());
        for a in edges.into_iter().chain(random) {
            for b in edges {
                if a == i32::MIN && b == i32::MIN {
                    continue;
                }
                let product = i64::from(a) * i64::from(b);
                let nudge = if product >= 0 {
                    1i64 << 30
                } else {
                    1 - (1i64 << 30)
                };
                assert_eq!(
                    i64::from(srdhm(a, b)),
                    (product + nudge) / (1i64 << 31),
                    "{a} {b}"
                );
            }
        }
    }

    #[test]
    fn divide_by_power_of_two_golden_values() {
        for (x, e, expected) in [
            (5, 1, 3),
            (-5, 1, -3),
            (6, 2, 2),
            (-6, 2, -2),
            (7, 2, 2),
            (-7, 2, -2),
            (i32::MIN, 31, -1),
            (i32::MAX, 31, 1),
            (-1, 1, -1),
            (1, 1, 1),
            (0, 0, 0),
            (-9, 0, -9),
        ] {
            assert_eq!(rounding_divide_by_pot(x, e), expected, "{x} {e}");
        }
    }

    #[cfg(feature = "std")]
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
            assert_eq!(
                Multiplier::from_real(real),
                Multiplier { mantissa, shift },
                "{real}"
            );
        }
        assert_eq!(frexp(f64::MIN_POSITIVE / 4.0).0, 0.5);
    }

    #[test]
    fn multiply_golden_values() {
        let m = Multiplier {
            mantissa: 1319413953,
            shift: -11,
        };
        for (x, expected) in [
            (0, 0),
            (1, 0),
            (-1, 0),
            (1000, 0),
            (32512, 10),
            (-32512, -10),
            (123457, 37),
        ] {
            assert_eq!(m.apply(x), expected, "{x}");
        }
        let double = Multiplier {
            mantissa: 1 << 30,
            shift: 2,
        };
        assert_eq!([double.apply(21), double.apply(-21)], [42, -42]);
    }

    #[test]
    fn multiply_is_monotone() {
        for shift in [-31, -12, -1, 0, 3] {
            let m = Multiplier {
                mantissa: 1_518_500_250,
                shift,
            };
            let mut last = i32::MIN;
            for x in -3000..3000 {
                let y = m.apply(x * 17);
                assert!(y >= last);
                last = y;
            }
        }
    }

    #[cfg(feature = "std")]
    #[test]
    fn zero_is_exact_in_every_range() {
        for (min, max) in [
            (-1.0, 1.0),
            (0.0, 6.0),
            (-0.3, 20.0),
            (-5.0, 0.0),
            (0.0, 0.0),
        ] {
            let a = Affine::covering(min, max);
            assert_eq!(a.dequantize(a.zero_point), 0.0);
            assert_eq!(a.quantize(0.0), a.zero_point);
            assert!((a.dequantize(a.quantize(max)) - max).abs() <= a.scale);
            assert!((a.dequantize(a.quantize(min)) - min).abs() <= a.scale);
        }
    }
}
