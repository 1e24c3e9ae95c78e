//! The weight gradient of a matrix product over pixels: dw += xᵀ dy.
//!
//! A tile of dw stays in registers over all rows: 6 x 2 vectors, or 12 x 2 with AVX-512.

use super::matmul::{MORE_ROWS, ROWS, VECTORS, has_more};
use super::simd::{Simd, lanes, load, simd_fn, store};

/// Rows of x and dy that [`gram`] goes over before it moves on, so that they stay in cache.
const BLOCK: usize = 256;

simd_fn! {
    /// `dw [k, n] += xᵀ dy` for `x [rows, k]` and `dy [rows, n]`.
    pub fn gram<'a>(simd: S, x: &'a [f32], dy: &'a [f32], k: usize, n: usize, dw: &'a mut [f32]) {
        let lanes = lanes::<S>();
        for (x, dy) in x.chunks(BLOCK * k).zip(dy.chunks(BLOCK * n)) {
            let mut j = 0;
            while j < n {
                if n - j >= VECTORS * lanes {
                    columns::<S, VECTORS, true>(simd, (x, dy), (k, n), j, VECTORS * lanes, dw);
                    j += VECTORS * lanes;
                } else if n - j >= lanes {
                    columns::<S, 1, true>(simd, (x, dy), (k, n), j, lanes, dw);
                    j += lanes;
                } else {
                    columns::<S, 1, false>(simd, (x, dy), (k, n), j, n - j, dw);
                    j = n;
                }
            }
        }
    }
}

/// All rows of dw for `width` columns from `j`.
#[inline(always)]
fn columns<S: Simd, const V: usize, const FULL: bool>(
    simd: S,
    (x, dy): (&[f32], &[f32]),
    (k, n): (usize, usize),
    j: usize,
    width: usize,
    dw: &mut [f32],
) {
    let mut i = 0;
    while has_more::<S>() && i + MORE_ROWS <= k {
        strip::<S, MORE_ROWS, V, FULL>(simd, (x, dy), (k, n), (i, j), width, dw);
        i += MORE_ROWS;
    }
    while i + ROWS <= k {
        strip::<S, ROWS, V, FULL>(simd, (x, dy), (k, n), (i, j), width, dw);
        i += ROWS;
    }
    while i + 2 <= k {
        strip::<S, 2, V, FULL>(simd, (x, dy), (k, n), (i, j), width, dw);
        i += 2;
    }
    if i < k {
        strip::<S, 1, V, FULL>(simd, (x, dy), (k, n), (i, j), width, dw);
    }
}

/// M rows by V vectors of dw.
#[inline(always)]
fn strip<S: Simd, const M: usize, const V: usize, const FULL: bool>(
    simd: S,
    (x, dy): (&[f32], &[f32]),
    (k, n): (usize, usize),
    (i, j): (usize, usize),
    width: usize,
    dw: &mut [f32],
) {
    let lanes = lanes::<S>();
    let mut acc = [[simd.splat_f32s(0.0); V]; M];
    for (x, dy) in x.chunks_exact(k).zip(dy.chunks_exact(n)) {
        let (x, dy) = (&x[i..i + M], &dy[j..j + width]);
        let d: [S::f32s; V] = if FULL {
            let d = S::as_simd_f32s(dy).0;
            core::array::from_fn(|v| d[v])
        } else {
            [load::<S, false>(simd, dy); V]
        };
        for m in 0..M {
            let value = simd.splat_f32s(x[m]);
            for v in 0..V {
                acc[m][v] = simd.mul_add_e_f32s(value, d[v], acc[m][v]);
            }
        }
    }
    for (m, acc) in acc.iter().enumerate() {
        let row = &mut dw[(i + m) * n + j..][..width];
        for (out, value) in row.chunks_mut(lanes).zip(acc) {
            let sum = simd.add_f32s(load::<S, FULL>(simd, out), *value);
            store::<S, FULL>(simd, out, sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::kernels::matmul::SHAPES;
    use crate::nn::kernels::testing::{numbers, with_every_vector};

    #[test]
    fn weight_gradients_match_sums_in_f64_and_are_added() {
        with_every_vector(|| {
            for (rows, k, n) in SHAPES {
                let (x, dy) = (numbers(rows * k, 3), numbers(rows * n, 4));
                let mut dw = vec![0.5; k * n];
                gram(&x, &dy, k, n, &mut dw);
                for i in 0..k {
                    for j in 0..n {
                        let exact: f64 = (0..rows)
                            .map(|r| f64::from(x[r * k + i]) * f64::from(dy[r * n + j]))
                            .sum();
                        let got = f64::from(dw[i * n + j]) - 0.5;
                        assert!((got - exact).abs() < 1e-4, "{rows} {k} {n}: {got} {exact}");
                    }
                }
            }
        });
    }
}
