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
/// use pupil_core::op::quant::saturating_rounding_doubling_high_mul as srdhm;
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

impl Affine {
    /// The real value of `q`.
    pub fn dequantize(self, q: i8) -> f32 {
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
}
