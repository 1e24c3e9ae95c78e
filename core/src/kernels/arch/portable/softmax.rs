//! Softmax in fixed point (TensorFlow Lite's int8 SOFTMAX): output scale 1/256, zero point −128.

use crate::op::SoftmaxParams;
use crate::op::fixed_point::{divide_by_pot, exp_on_negative, one_over_one_plus, srdhm};

#[inline(never)]
fn exponential(p: &SoftmaxParams, difference: i32) -> i32 {
    let scaled = difference.wrapping_shl(p.multiplier.shift as u32);
    exp_on_negative(srdhm(scaled, p.multiplier.mantissa), 5)
}

/// `input [c]` to `output [c]`. False, with the output unchanged, where both have different lengths.
#[inline(never)]
#[must_use]
pub fn softmax(p: &SoftmaxParams, input: &[i8], output: &mut [i8]) -> bool {
    const SUM_INTEGER_BITS: u32 = 12;
    if input.len() != output.len() {
        return false;
    }
    let most = input.iter().fold(-128, |most, x| i32::from(*x).max(most));
    let mut sum = 0i32;
    for x in input {
        let difference = i32::from(*x) - most;
        if difference >= p.diff_min {
            let e = divide_by_pot(exponential(p, difference), SUM_INTEGER_BITS);
            sum = sum.wrapping_add(e);
        }
    }
    // The greatest value alone adds 2^19.
    let headroom = sum.leading_zeros().min(31);
    let normalized = ((sum as u32) << headroom).wrapping_sub(1 << 31) as i32;
    let scale = one_over_one_plus(normalized);
    let exponent = (SUM_INTEGER_BITS + 23 - headroom).min(31);
    for (y, x) in output.iter_mut().zip(input) {
        let difference = i32::from(*x) - most;
        *y = if difference >= p.diff_min {
            let product = srdhm(scale, exponential(p, difference));
            // Neither factor is below 0.
            (divide_by_pot(product, exponent) - 128).min(127) as i8
        } else {
            -128
        };
    }
    true
}
