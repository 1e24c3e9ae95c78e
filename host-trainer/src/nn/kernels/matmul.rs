//! The matrix product y = x w of a layer whose rows are pixels.
//!
//! A 6 x 2-vector tile of y stays in registers over the whole inner dimension (12 accumulators,
//! 2 vectors of w, 1 of x: 15 of AVX2's 16 registers; with AVX-512 there are 32, for tiles of 12 rows). It is
//! bound by the multiply-add units, not by loads: 8 loads for 12 of them.

use core::marker::PhantomData;

use super::buffers::Buffer;
use super::function::Function;
use super::normalize::Runs;
use super::simd::{Simd, lanes, simd_fn, store};

/// Rows of a tile with 16 registers.
pub(super) const ROWS: usize = 6;
/// Rows of a tile with 32.
pub(super) const MORE_ROWS: usize = 12;
/// Vectors of a tile's row.
pub(super) const VECTORS: usize = 2;
/// Columns of a panel: a multiple of the tile's, whatever the machine's vector.
const PANEL: usize = 32;

/// Whether vectors are AVX-512's, whose registers are enough for tiles of twelve rows.
#[inline(always)]
pub(super) fn has_more<S: Simd>() -> bool {
    lanes::<S>() == 16
}

/// A matrix `[k, n]` cut into panels of 32 columns, filled up with zeros. Memory: 4 k n bytes, n
/// rounded up to a multiple of 32.
pub struct Panels {
    values: Buffer,
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

    /// `b [n]` with zeros for the columns that fill up the last panel.
    pub fn bias(b: &[f32]) -> Buffer {
        let mut all = Buffer::zeros(b.len().div_ceil(PANEL) * PANEL);
        all[..b.len()].copy_from_slice(b);
        all
    }

    fn gather(k: usize, n: usize, at: impl Fn(usize, usize) -> f32) -> Self {
        let mut values = Buffer::zeros(n.div_ceil(PANEL) * PANEL * k);
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
        if let Some(total) = y.len().checked_div(w.n) {
            product(simd, x, w, y, total, Plain { n: w.n });
        }
    }
}

simd_fn! {
    /// Rows f(x w + b) for `x [rows, k]`, `w [k, n]` and `b [n]`, filled up to the panels' columns
    /// ([`Panels::bias`]); they lie in `runs` of y.
    pub fn matmul_activated<'a, F: Function>(
        simd: S, x: &'a [f32], w: &'a Panels, b: &'a [f32], y: &'a mut [f32], runs: Runs,
    ) {
        let (n, per_run) = (w.n, runs.len / w.n.max(1));
        if n > 0 && w.k > 0 && per_run > 0 {
            let total = x.len() / w.k;
            product(simd, x, w, y, total, Activated::<F> { n, per_run, runs, b, f: PhantomData });
        }
    }
}

/// What a product begins with, what becomes of it, and where it goes.
trait Finish: Copy {
    /// Whether few heights of tiles are enough.
    const FEW: bool;
    /// The sums of a vector of columns from `at` on before the first product.
    fn first<S: Simd>(&self, simd: S, at: usize) -> S::f32s;
    /// The output for a vector of sums.
    fn value<S: Simd>(&self, simd: S, sum: S::f32s) -> S::f32s;
    /// Where a row of the output begins.
    fn start(&self, row: usize) -> usize;
}

/// The product itself, row after row.
#[derive(Clone, Copy)]
struct Plain {
    n: usize,
}

impl Finish for Plain {
    const FEW: bool = false;
    #[inline(always)]
    fn first<S: Simd>(&self, simd: S, _: usize) -> S::f32s {
        simd.splat_f32s(0.0)
    }
    #[inline(always)]
    fn value<S: Simd>(&self, _: S, sum: S::f32s) -> S::f32s {
        sum
    }
    #[inline(always)]
    fn start(&self, row: usize) -> usize {
        row * self.n
    }
}

/// f(product + b) in runs.
struct Activated<'a, F> {
    n: usize,
    per_run: usize,
    runs: Runs,
    b: &'a [f32],
    f: PhantomData<F>,
}

impl<F> Clone for Activated<'_, F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F> Copy for Activated<'_, F> {}

impl<F: Function> Finish for Activated<'_, F> {
    // Each height is compiled for each non-linearity.
    const FEW: bool = true;
    #[inline(always)]
    fn first<S: Simd>(&self, _: S, at: usize) -> S::f32s {
        S::as_simd_f32s(&self.b[at..]).0[0]
    }
    #[inline(always)]
    fn value<S: Simd>(&self, simd: S, sum: S::f32s) -> S::f32s {
        F::value(simd, sum)
    }
    #[inline(always)]
    fn start(&self, row: usize) -> usize {
        self.runs.start + row / self.per_run * self.runs.stride + row % self.per_run * self.n
    }
}

/// Rows of the next tile where `left` are left.
#[inline(always)]
fn height<S: Simd, E: Finish>(left: usize) -> usize {
    let most = if has_more::<S>() { MORE_ROWS } else { ROWS };
    if left >= most && (E::FEW || left == most || left >= 2 * most) {
        return most;
    }
    if E::FEW {
        return match left {
            8.. if has_more::<S>() => 8,
            4.. => 4,
            2.. => 2,
            _ => 1,
        };
    }
    // Tiles of one or two rows would wait for the multiply-add units' latency.
    if left > most { left.div_ceil(2) } else { left }
}

/// All rows.
#[inline(always)]
fn product<S: Simd, E: Finish>(simd: S, x: &[f32], w: &Panels, y: &mut [f32], total: usize, e: E) {
    let mut row = 0;
    while row < total {
        let rows = height::<S, E>(total - row);
        match rows {
            1 => tile_row::<S, E, 1>(simd, x, w, y, row, e),
            2 => tile_row::<S, E, 2>(simd, x, w, y, row, e),
            3 if !E::FEW => tile_row::<S, E, 3>(simd, x, w, y, row, e),
            4 => tile_row::<S, E, 4>(simd, x, w, y, row, e),
            5 if !E::FEW => tile_row::<S, E, 5>(simd, x, w, y, row, e),
            ROWS if !E::FEW || !has_more::<S>() => tile_row::<S, E, ROWS>(simd, x, w, y, row, e),
            7 if !E::FEW && has_more::<S>() => tile_row::<S, E, 7>(simd, x, w, y, row, e),
            8 if has_more::<S>() => tile_row::<S, E, 8>(simd, x, w, y, row, e),
            9 if !E::FEW && has_more::<S>() => tile_row::<S, E, 9>(simd, x, w, y, row, e),
            10 if !E::FEW && has_more::<S>() => tile_row::<S, E, 10>(simd, x, w, y, row, e),
            11 if !E::FEW && has_more::<S>() => tile_row::<S, E, 11>(simd, x, w, y, row, e),
            _ if has_more::<S>() => tile_row::<S, E, MORE_ROWS>(simd, x, w, y, row, e),
            _ => return,
        }
        row += rows;
    }
}

/// M rows of the product, from `row` on.
#[inline(always)]
fn tile_row<S: Simd, E: Finish, const M: usize>(
    simd: S,
    x: &[f32],
    w: &Panels,
    y: &mut [f32],
    row: usize,
    e: E,
) {
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
                tile::<S, E, M, VECTORS>(simd, x, (panel, first), w, (row, at), y, e);
            } else {
                tile::<S, E, M, 1>(simd, x, (panel, first), w, (row, at), y, e);
            }
            inside += width;
        }
    }
}

/// M rows by V vectors of the product, from row and column on; the column is vector `first` of the
/// panel.
#[inline(always)]
fn tile<S: Simd, E: Finish, const M: usize, const V: usize>(
    simd: S,
    x: &[f32],
    (panel, first): (&[S::f32s], usize),
    w: &Panels,
    (row, at): (usize, usize),
    y: &mut [f32],
    e: E,
) {
    let (k, n) = (w.k, w.n);
    let stride = PANEL / lanes::<S>();
    // Loops, not closures: what a closure calls need not be compiled with the chosen instructions.
    let mut begin = [simd.splat_f32s(0.0); V];
    for (v, begin) in begin.iter_mut().enumerate() {
        *begin = e.first(simd, at + v * lanes::<S>());
    }
    let mut acc = [begin; M];
    let x: [&[f32]; M] = core::array::from_fn(|i| &x[(row + i) * k..][..k]);
    for (p, row) in (0..k).zip(panel.chunks_exact(stride)) {
        let mut w = begin;
        for (w, value) in w.iter_mut().zip(&row[first..]) {
            *w = *value;
        }
        for i in 0..M {
            let value = simd.splat_f32s(x[i][p]);
            for v in 0..V {
                acc[i][v] = simd.mul_add_e_f32s(value, w[v], acc[i][v]);
            }
        }
    }
    let width = (n - at).min(V * lanes::<S>());
    for (i, values) in acc.iter_mut().enumerate() {
        for value in values.iter_mut() {
            *value = e.value(simd, *value);
        }
        let out = &mut y[e.start(row + i) + at..][..width];
        if width == V * lanes::<S>() {
            for (out, value) in S::as_mut_simd_f32s(out).0.iter_mut().zip(&*values) {
                *out = *value;
            }
        } else {
            for (out, value) in out.chunks_mut(lanes::<S>()).zip(&*values) {
                store::<S, false>(simd, out, *value);
            }
        }
    }
}

/// Rows, inner and outer dimension of the tests' products.
#[cfg(test)]
pub(super) const SHAPES: [(usize, usize, usize); 9] = [
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::kernels::function::Relu;
    use crate::nn::kernels::testing::{numbers, with_every_vector};

    #[test]
    fn products_match_sums_in_f64() {
        with_every_vector(|| {
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
        });
    }

    #[test]
    fn activated_products_are_products_with_a_bias_and_a_non_linearity_in_their_places() {
        with_every_vector(|| {
            for (rows, k, n) in SHAPES {
                let (x, w, b) = (numbers(rows * k, 1), numbers(k * n, 2), numbers(n, 3));
                let panels = Panels::new(&w, k, n);
                let mut product = vec![f32::NAN; rows * n];
                matmul(&x, &panels, &mut product);
                let per_run = if rows % 3 == 0 { 3 } else { rows };
                let runs = Runs {
                    len: per_run * n,
                    stride: (per_run + 2) * n,
                    start: n,
                };
                let mut y = vec![7.0; rows / per_run * runs.stride];
                matmul_activated::<Relu>(&x, &panels, &Panels::bias(&b), &mut y, runs);
                let mut plain = vec![f32::NAN; rows * n];
                for (run, plain) in y.chunks(runs.stride).zip(plain.chunks_mut(runs.len)) {
                    plain.copy_from_slice(&run[n..][..runs.len]);
                    assert!(run[..n].iter().all(|v| *v == 7.0));
                    assert!(run[n + runs.len..].iter().all(|v| *v == 7.0));
                }
                for (i, (got, product)) in plain.iter().zip(&product).enumerate() {
                    let wanted = (product + b[i % n]).max(0.0);
                    assert!(
                        (got - wanted).abs() < 2e-5,
                        "{rows} {k} {n}: {got} {wanted}"
                    );
                }
            }
        });
    }
}
