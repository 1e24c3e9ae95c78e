//! Sums of int8 products: one output channel or four at a time.

/// How an instruction set multiplies and adds.
pub trait Dot {
    /// Σ w x over equally long slices; at most 2^17 values, so that the sum fits.
    fn dot(weights: &[u8], x: &[i8]) -> i32;

    /// [`Dot::dot`] of four weight rows, `stride` bytes apart, with one x: each x is loaded once. A
    /// row that is cut off counts as zeros.
    fn dot4(weights: &[u8], stride: usize, x: &[i8]) -> [i32; 4];
}

/// Plain Rust.
#[derive(Debug)]
pub struct Plain;

impl Dot for Plain {
    #[inline(always)]
    fn dot(weights: &[u8], x: &[i8]) -> i32 {
        weights
            .iter()
            .zip(x)
            .map(|(w, x)| i32::from(*w as i8) * i32::from(*x))
            .sum()
    }

    #[inline(always)]
    fn dot4(weights: &[u8], stride: usize, x: &[i8]) -> [i32; 4] {
        let row = |k: usize| weights.get(k * stride..k * stride + x.len());
        let (Some(a), Some(b), Some(c), Some(d)) = (row(0), row(1), row(2), row(3)) else {
            return [0, 1, 2, 3].map(|k| Self::dot(row(k).unwrap_or(&[]), x));
        };
        let mut sums = [0i32; 4];
        for ((((x, a), b), c), d) in x.iter().zip(a).zip(b).zip(c).zip(d) {
            let x = i32::from(*x);
            sums[0] += i32::from(*a as i8) * x;
            sums[1] += i32::from(*b as i8) * x;
            sums[2] += i32::from(*c as i8) * x;
            sums[3] += i32::from(*d as i8) * x;
        }
        sums
    }
}

/// int8 as the bytes that weights in flash are.
#[allow(unsafe_code)]
pub fn as_bytes(values: &[i8]) -> &[u8] {
    // SAFETY: both types have one byte, the same alignment, and no invalid values.
    unsafe { core::slice::from_raw_parts(values.as_ptr().cast(), values.len()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_rows_equal_four_dots() {
        let weights: [u8; 44] = core::array::from_fn(|i| (i * 73) as u8);
        let x: [i8; 11] = core::array::from_fn(|i| (i * 37) as u8 as i8);
        let four = Plain::dot4(&weights, 11, &x);
        for (k, sum) in four.into_iter().enumerate() {
            assert_eq!(sum, Plain::dot(&weights[k * 11..][..11], &x));
        }
        let three = Plain::dot4(&weights[..33], 11, &x);
        assert_eq!((three[..3] == four[..3], three[3]), (true, 0));
        assert_eq!(Plain::dot(&[128; 3], &[-128; 3]), 3 * 16384);
        assert_eq!(as_bytes(&[-1, 0, 127, -128]), [255, 0, 127, 128]);
    }
}
