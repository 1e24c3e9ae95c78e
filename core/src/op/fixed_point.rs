//! gemmlowp's fixed-point exponential, reciprocal and logistic, as TensorFlow Lite uses them.
//!
//! Qn.m: an i32 with n integer bits, value = raw / 2^(31 − n).

use crate::op::quant::{rounding_divide_by_pot, saturating_rounding_doubling_high_mul};

/// One piece of code for all: a softmax takes few numbers, but flash.
#[inline(never)]
pub fn srdhm(a: i32, b: i32) -> i32 {
    saturating_rounding_doubling_high_mul(a, b)
}

/// As above.
#[inline(never)]
pub fn divide_by_pot(x: i32, exponent: u32) -> i32 {
    rounding_divide_by_pot(x, exponent)
}

/// x · 2^exponent, saturated; exponent above 0.
#[inline(never)]
fn saturating_shift_left(x: i32, exponent: u32) -> i32 {
    let wide = i64::from(x) << exponent;
    wide.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
}

/// (a + b) / 2, ties away from zero.
fn rounding_half_sum(a: i32, b: i32) -> i32 {
    let sum = i64::from(a) + i64::from(b);
    let sign = if sum >= 0 { 1 } else { -1 };
    ((sum + sign) / 2) as i32
}

/// e^x for x in −1/4..0, Q0.31 to Q0.31: a Taylor polynomial around −1/8.
fn exp_on_quarter(a: i32) -> i32 {
    const EXP_MINUS_EIGHTH: i32 = 1_895_147_668;
    const THIRD: i32 = 715_827_883;
    let x = a.wrapping_add(1 << 28);
    let x2 = srdhm(x, x);
    let x3 = srdhm(x2, x);
    let x4 = srdhm(x2, x2);
    let x4_quarter = divide_by_pot(x4, 2);
    let terms = divide_by_pot(
        srdhm(x4_quarter.wrapping_add(x3), THIRD).wrapping_add(x2),
        1,
    );
    EXP_MINUS_EIGHTH.wrapping_add(srdhm(EXP_MINUS_EIGHTH, x.wrapping_add(terms)))
}

/// e^x for x ≤ 0 with `integer_bits` integer bits; the result is Q0.31.
pub fn exp_on_negative(x: i32, integer_bits: u32) -> i32 {
    // e^(−2^k) in Q0.31 for k = −2 to 4.
    const FACTORS: [i32; 7] = [
        1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242,
    ];
    if x == 0 {
        return i32::MAX;
    }
    let fractional_bits = 31 - integer_bits;
    let quarter = 1i32 << (fractional_bits - 2);
    let modulo = (x & (quarter - 1)).wrapping_sub(quarter);
    let mut result = exp_on_quarter(saturating_shift_left(modulo, integer_bits));
    let remainder = modulo.wrapping_sub(x);
    for (k, factor) in (-2i32..).zip(FACTORS) {
        let position = fractional_bits as i32 + k;
        if integer_bits as i32 > k && remainder >> position & 1 == 1 {
            result = srdhm(result, factor);
        }
    }
    result
}

/// 1 / (1 + x) for x in 0..1, Q0.31 to Q0.31: three Newton steps.
pub fn one_over_one_plus(x: i32) -> i32 {
    const FORTY_EIGHT_OVER_SEVENTEEN: i32 = 1_515_870_810;
    const MINUS_THIRTY_TWO_OVER_SEVENTEEN: i32 = -1_010_580_540;
    let half_denominator = rounding_half_sum(x, i32::MAX);
    let mut y = FORTY_EIGHT_OVER_SEVENTEEN
        .wrapping_add(srdhm(half_denominator, MINUS_THIRTY_TWO_OVER_SEVENTEEN));
    for _ in 0..3 {
        let error = (1 << 29) - srdhm(half_denominator, y);
        y = y.wrapping_add(saturating_shift_left(srdhm(y, error), 2));
    }
    saturating_shift_left(y, 1)
}

/// The logistic function of a Q4.27 number, as Q0.31.
pub fn logistic(x: i32) -> i32 {
    if x == 0 {
        return 1 << 30;
    }
    let positive = one_over_one_plus(exp_on_negative(-x.saturating_abs(), 4));
    if x > 0 { positive } else { i32::MAX - positive }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_is_close_to_the_real_one() {
        for i in 0..2000 {
            let x = -i * 1_000_000i32; // down to about −30 in Q5.26
            let real = (f64::from(x) / f64::from(1 << 26)).exp();
            let fixed = f64::from(exp_on_negative(x, 5)) / 2f64.powi(31);
            // The quarter's Taylor polynomial leaves out e^(−1/8) (1/8)^5 / 120 = 2.2e-7.
            assert!((real - fixed).abs() < 3e-7, "{x}: {real} {fixed}");
        }
    }

    #[test]
    fn logistic_is_close_and_symmetric() {
        for i in -1000..1000i32 {
            let x = i * 2_000_000;
            let real = 1.0 / (1.0 + (-f64::from(x) / f64::from(1 << 27)).exp());
            let fixed = f64::from(logistic(x)) / 2f64.powi(31);
            assert!((real - fixed).abs() < 3e-7, "{x}: {real} {fixed}");
        }
        assert_eq!(logistic(5_000_000) + logistic(-5_000_000), i32::MAX);
    }
}
