//! Micro-kernels: sums of int8 products; one output channel or four at a time. Portable Rust, or
//! the chip's own instructions.

/// A byte that holds an int8: weights in flash are u8, unpacked ones i8.
pub trait Int8: Copy {
    /// The number.
    fn wide(self) -> i32;
}

impl Int8 for i8 {
    #[inline(always)]
    fn wide(self) -> i32 {
        i32::from(self)
    }
}

impl Int8 for u8 {
    #[inline(always)]
    fn wide(self) -> i32 {
        i32::from(self as i8)
    }
}

/// Σ w x over equally long slices; at most 2^17 values, so that the sum fits.
#[inline(always)]
pub fn dot<W: Int8>(weights: &[W], x: &[i8]) -> i32 {
    weights
        .iter()
        .zip(x)
        .map(|(w, x)| w.wide() * i32::from(*x))
        .sum()
}

/// [`dot`] of four weight rows, `stride` values apart, with one x: each x is loaded once. A row
/// that is cut off counts as zeros.
#[inline(always)]
pub fn dot4<W: Int8>(weights: &[W], stride: usize, x: &[i8]) -> [i32; 4] {
    #[cfg(arm_dsp)]
    if let Some(sums) = super::m4::dot4(weights, stride, x) {
        return sums;
    }
    let row = |k: usize| weights.get(k * stride..k * stride + x.len());
    let (Some(a), Some(b), Some(c), Some(d)) = (row(0), row(1), row(2), row(3)) else {
        return [0, 1, 2, 3].map(|k| dot(row(k).unwrap_or(&[]), x));
    };
    let mut sums = [0i32; 4];
    for ((((x, a), b), c), d) in x.iter().zip(a).zip(b).zip(c).zip(d) {
        let x = i32::from(*x);
        sums[0] += a.wide() * x;
        sums[1] += b.wide() * x;
        sums[2] += c.wide() * x;
        sums[3] += d.wide() * x;
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_rows_equal_four_dots() {
        let weights: [u8; 44] = core::array::from_fn(|i| (i * 73) as u8);
        let x: [i8; 11] = core::array::from_fn(|i| (i * 37) as u8 as i8);
        let four = dot4(&weights, 11, &x);
        for (k, sum) in four.into_iter().enumerate() {
            assert_eq!(sum, dot(&weights[k * 11..][..11], &x));
        }
        let three = dot4(&weights[..33], 11, &x);
        assert_eq!((three[..3] == four[..3], three[3]), (true, 0));
        assert_eq!(dot(&[128u8; 3], &[-128; 3]), 3 * 16384);
        assert_eq!(dot(&[-128i8; 3], &[-128; 3]), 3 * 16384);
    }
}
