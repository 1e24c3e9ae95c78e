//! The two matrix products of a layer whose rows are pixels.
//!
//! [`matmul`] is y = x w: a 6 x 2-vector tile of y stays in registers over the whole inner
//! dimension (12 accumulators, 2 vectors of w, 1 of x: 15 of AVX2's 16 registers). [`gram`] is
//! dw += xᵀ dy with a tile of dw in registers over all rows. Both are bound by the multiply-add
//! units, not by loads: 8 loads for 12 of them.

use super::simd::{Simd, lanes, load, simd_fn, store};

/// Rows of a tile.
const ROWS: usize = 6;
/// Vectors of a tile's row.
const VECTORS: usize = 2;
/// Rows of x and dy that [`gram`] goes over before it moves on, so that they stay in cache.
const BLOCK: usize = 256;
/// Columns of a panel: a multiple of the tile's, whatever the machine's vector.
const PANEL: usize = 16;

/// A matrix `[k, n]` cut into panels of 16 columns, filled up with zeros.
pub struct Panels {
    values: Vec<f32>,
    k: usize,
    n: usize,
}

impl Panels {
    /// Of `w [k, n]`, row-major.
    pub fn new(w: &[f32], k: usize, n: usize) -> Self {
        Self::gather(k, n, |i, j| w[i * n + j])
    }

    /// Of the transpose of `w [n, k]`, row-major.
    pub fn transposed(w: &[f32], k: usize, n: usize) -> Self {
        Self::gather(k, n, |i, j| w[j * k + i])
    }

    fn gather(k: usize, n: usize, at: impl Fn(usize, usize) -> f32) -> Self {
        let mut values = vec![0.0; n.div_ceil(PANEL) * PANEL * k];
        for (start, panel) in (0..n)
            .step_by(PANEL)
            .zip(values.chunks_exact_mut(PANEL * k.max(1)))
        {
            for (i, row) in panel.chunks_exact_mut(PANEL).enumerate() {
                for (j, value) in row.iter_mut().enumerate().take(n - start) {
                    *value = at(i, start + j);
                }
            }
        }
        Self { values, k, n }
    }
}

simd_fn! {
    /// `y [rows, n] = x [rows, k] w [k, n]`; y is overwritten.
    pub fn matmul<'a>(simd: S, x: &'a [f32], w: &'a Panels, y: &'a mut [f32]) {
        let (k, n) = (w.k, w.n);
        let (mut x, mut y) = (x, y);
        while n > 0 && y.len() >= n {
            // Tiles of one or two rows would wait for the multiply-add units' latency.
            let rows = match y.len() / n {
                left @ ..=ROWS => left,
                left if left < 2 * ROWS => left.div_ceil(2),
                _ => ROWS,
            };
            let (here, rest) = y.split_at_mut(rows * n);
            let (from, after) = x.split_at(rows * k);
            match rows {
                1 => tile_row::<S, 1>(simd, from, w, here),
                2 => tile_row::<S, 2>(simd, from, w, here),
                3 => tile_row::<S, 3>(simd, from, w, here),
                4 => tile_row::<S, 4>(simd, from, w, here),
                5 => tile_row::<S, 5>(simd, from, w, here),
                _ => tile_row::<S, ROWS>(simd, from, w, here),
            }
            (x, y) = (after, rest);
        }
    }
}

/// M rows of the product.
#[inline(always)]
fn tile_row<S: Simd, const M: usize>(simd: S, x: &[f32], w: &Panels, y: &mut [f32]) {
    let width = VECTORS * lanes::<S>();
    for (start, panel) in (0..w.n)
        .step_by(PANEL)
        .zip(w.values.chunks_exact(PANEL * w.k))
    {
        let panel = S::as_simd_f32s(panel).0;
        let mut inside = 0;
        while inside < PANEL && start + inside < w.n {
            let at = start + inside;
            let first = inside / lanes::<S>();
            if w.n - at > lanes::<S>() {
                tile::<S, M, VECTORS>(simd, x, panel, first, w, at, y);
            } else {
                tile::<S, M, 1>(simd, x, panel, first, w, at, y);
            }
            inside += width;
        }
    }
}

/// M rows by V vectors of the product, from column `at`, which is vector `first` of the panel.
#[inline(always)]
fn tile<S: Simd, const M: usize, const V: usize>(
    simd: S,
    x: &[f32],
    panel: &[S::f32s],
    first: usize,
    w: &Panels,
    at: usize,
    y: &mut [f32],
) {
    let (k, n) = (w.k, w.n);
    let stride = PANEL / lanes::<S>();
    let mut acc = [[simd.splat_f32s(0.0); V]; M];
    let x: [&[f32]; M] = core::array::from_fn(|i| &x[i * k..][..k]);
    for (p, w) in (0..k).zip(panel.chunks_exact(stride)) {
        let w: [S::f32s; V] = core::array::from_fn(|v| w[first + v]);
        for i in 0..M {
            let value = simd.splat_f32s(x[i][p]);
            for v in 0..V {
                acc[i][v] = simd.mul_add_e_f32s(value, w[v], acc[i][v]);
            }
        }
    }
    let width = (n - at).min(V * lanes::<S>());
    for (i, acc) in acc.iter().enumerate() {
        let row = &mut y[i * n + at..][..width];
        if width == V * lanes::<S>() {
            for (out, value) in S::as_mut_simd_f32s(row).0.iter_mut().zip(acc) {
                *out = *value;
            }
        } else {
            for (out, value) in row.chunks_mut(lanes::<S>()).zip(acc) {
                store::<S, false>(simd, out, *value);
            }
        }
    }
}

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
            [simd.partial_load_f32s(dy); V]
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
    use crate::nn::kernels::testing::numbers;

    const SHAPES: [(usize, usize, usize); 9] = [
        (1, 1, 1),
        (7, 3, 5),
        (13, 16, 8),
        (12, 17, 24),
        (300, 20, 12),
        (5, 64, 33),
        (18, 9, 16),
        (600, 4, 31),
        (6, 160, 10),
    ];

    #[test]
    fn products_match_sums_in_f64() {
        for (rows, k, n) in SHAPES {
            let (x, w) = (numbers(rows * k, 1), numbers(k * n, 2));
            let mut y = vec![f32::NAN; rows * n];
            matmul(&x, &Panels::new(&w, k, n), &mut y);
            let turned: Vec<f32> = (0..n * k).map(|i| w[i % k * n + i / k]).collect();
            let mut again = vec![f32::NAN; rows * n];
            matmul(&x, &Panels::transposed(&turned, k, n), &mut again);
            assert_eq!(y, again);
            for r in 0..rows {
                for j in 0..n {
                    let exact: f64 = (0..k)
                        .map(|p| f64::from(x[r * k + p]) * f64::from(w[p * n + j]))
                        .sum();
                    let got = f64::from(y[r * n + j]);
                    assert!((got - exact).abs() < 2e-5, "{rows} {k} {n}: {got} {exact}");
                }
            }
        }
    }

    #[test]
    fn weight_gradients_match_sums_in_f64_and_are_added() {
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
    }
}
