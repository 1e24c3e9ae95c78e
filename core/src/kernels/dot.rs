//! Micro-kernels: sums of int8 products. Portable; one output channel or four at a time.

/// Σ w x over equally long slices; at most 2^17 values, so that the sum fits.
#[inline(always)]
pub fn dot(weights: &[u8], x: &[i8]) -> i32 {
    weights
        .iter()
        .zip(x)
        .map(|(w, x)| i32::from(*w as i8) * i32::from(*x))
        .sum()
}

/// [`dot`] of four weight rows, `stride` bytes apart, with one x: each x is loaded once.
#[inline(always)]
pub fn dot4(weights: &[u8], stride: usize, x: &[i8]) -> [i32; 4] {
    let row = |k: usize| weights.get(k * stride..k * stride + x.len()).unwrap_or(&[]);
    let (a, b, c, d) = (row(0), row(1), row(2), row(3));
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
        assert_eq!(dot(&[128; 3], &[-128; 3]), 3 * 16384);
    }
}
