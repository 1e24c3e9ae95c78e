//! Batch normalization (arXiv 1502.03167) and the non-linearity behind it, over rows of channels.
//!
//! z = x a + b with a = γ / √(σ² + ε), b = β − μ a; y = f(z). Backward: g = dy f'(z);
//! dγ = Σ g x̂, dβ = Σ g, dx = a (g − dβ/m − x̂ dγ/m), x̂ = (x − μ)/√(σ² + ε), over m rows.
//! As a line through x: dx = k0 g + k1 x + k2 ([`Backward`]).
//!
//! Sums over rows run down two vectors of channels at a time, so that they stay in registers; the
//! rows of one call are added in f32, calls in f64.

use super::function::Function;
use super::simd::{Simd, lanes, load, simd_fn, store};

/// ε of EfficientNet's batch norm.
pub const EPSILON: f64 = 1e-3;

/// Sums over rows, channel by channel: of a value and of its product with another.
#[derive(Clone, Debug, PartialEq)]
pub struct Sums {
    /// Rows that were added.
    pub rows: f64,
    /// Σ of the first.
    pub first: Vec<f64>,
    /// Σ of the second.
    pub second: Vec<f64>,
}

impl Sums {
    /// Nothing yet, for `c` channels.
    pub fn new(c: usize) -> Self {
        Self {
            rows: 0.0,
            first: vec![0.0; c],
            second: vec![0.0; c],
        }
    }

    /// Adds the sums of another part of the batch.
    pub fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        for (a, b) in self.first.iter_mut().zip(&other.first) {
            *a += b;
        }
        for (a, b) in self.second.iter_mut().zip(&other.second) {
            *a += b;
        }
    }
}

/// What the forward pass of one normalization leaves for its backward pass.
#[derive(Clone, Debug, PartialEq)]
pub struct Forward {
    /// γ / √(σ² + ε).
    pub a: Vec<f32>,
    /// β − μ a.
    pub b: Vec<f32>,
    /// μ.
    pub mean: Vec<f32>,
    /// σ², biased.
    pub variance: Vec<f32>,
}

impl Forward {
    /// By the statistics of a batch: its Σ (x − shift) and Σ (x − shift)².
    pub fn of_batch(sums: &Sums, shift: &[f32], gamma: &[f32], beta: &[f32]) -> Self {
        let (mean, variance) = mean_and_variance(sums, shift);
        Self::new(gamma, beta, &mean, &variance)
    }

    /// By running statistics.
    pub fn frozen(mean: &[f32], variance: &[f32], gamma: &[f32], beta: &[f32]) -> Self {
        let wide = |v: &[f32]| v.iter().map(|v| f64::from(*v)).collect::<Vec<f64>>();
        Self::new(gamma, beta, &wide(mean), &wide(variance))
    }

    fn new(gamma: &[f32], beta: &[f32], mean: &[f64], variance: &[f64]) -> Self {
        let a: Vec<f64> = gamma
            .iter()
            .zip(variance)
            .map(|(g, v)| f64::from(*g) / (v + EPSILON).sqrt())
            .collect();
        let b = beta
            .iter()
            .zip(mean)
            .zip(&a)
            .map(|((beta, mean), a)| (f64::from(*beta) - mean * a) as f32)
            .collect();
        Self {
            a: a.into_iter().map(|a| a as f32).collect(),
            b,
            mean: mean.iter().map(|m| *m as f32).collect(),
            variance: variance.iter().map(|v| *v as f32).collect(),
        }
    }
}

/// Mean and biased variance from Σ (x − shift) and Σ (x − shift)².
fn mean_and_variance(sums: &Sums, shift: &[f32]) -> (Vec<f64>, Vec<f64>) {
    let m = sums.rows.max(1.0);
    sums.first
        .iter()
        .zip(&sums.second)
        .zip(shift)
        .map(|((first, second), shift)| {
            let off = first / m;
            let variance = (second / m - off * off).max(0.0);
            (off + f64::from(*shift), variance)
        })
        .unzip()
}

/// dx = k0 g + k1 x + k2, and the gradients of γ and β.
#[derive(Clone, Debug, PartialEq)]
pub struct Backward {
    /// Of g.
    pub k0: Vec<f32>,
    /// Of x.
    pub k1: Vec<f32>,
    /// Constant.
    pub k2: Vec<f32>,
    /// dγ.
    pub gamma: Vec<f32>,
    /// dβ.
    pub beta: Vec<f32>,
}

impl Backward {
    /// From Σ g and Σ g (x − μ).
    pub fn new(forward: &Forward, sums: &Sums) -> Self {
        let m = sums.rows.max(1.0);
        let c = forward.a.len();
        let mut all = Self {
            k0: forward.a.clone(),
            k1: vec![0.0; c],
            k2: vec![0.0; c],
            gamma: vec![0.0; c],
            beta: vec![0.0; c],
        };
        for i in 0..c {
            let (a, mean) = (f64::from(forward.a[i]), f64::from(forward.mean[i]));
            let inverse = 1.0 / (f64::from(forward.variance[i]) + EPSILON).sqrt();
            let along = sums.second[i] * inverse;
            let slope = -a * inverse * along / m;
            all.k1[i] = slope as f32;
            all.k2[i] = (-a * sums.first[i] / m - slope * mean) as f32;
            all.gamma[i] = along as f32;
            all.beta[i] = sums.first[i] as f32;
        }
        all
    }
}

/// Calls `$body` for two vectors of channels at a time, then one, then the rest of one.
macro_rules! columns {
    ($s:ty, $c:expr, |$at:ident, $width:ident, $v:ident, $full:ident| $body:block) => {{
        let c: usize = $c;
        let step = lanes::<$s>();
        let mut $at = 0;
        while $at + 2 * step <= c {
            const $v: usize = 2;
            const $full: bool = true;
            let $width = 2 * step;
            $body
            $at += 2 * step;
        }
        while $at + step <= c {
            const $v: usize = 1;
            const $full: bool = true;
            let $width = step;
            $body
            $at += step;
        }
        if $at < c {
            const $v: usize = 1;
            const $full: bool = false;
            let $width = c - $at;
            $body
        }
    }};
}

/// Runs of numbers in a larger map: `len` numbers every `stride`, the first at `start`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Runs {
    /// Numbers of one run: whole rows of channels.
    pub len: usize,
    /// From one run's start to the next one's.
    pub stride: usize,
    /// Of the first run.
    pub start: usize,
}

impl Runs {
    /// One piece without gaps.
    pub fn whole(len: usize) -> Self {
        Self {
            len,
            stride: len,
            start: 0,
        }
    }

    /// Copies `from`, without gaps, into the runs of `map`.
    pub fn copy_in(&self, from: &[f32], map: &mut [f32]) {
        for (to, from) in map[self.start..]
            .chunks_mut(self.stride)
            .zip(from.chunks_exact(self.len))
        {
            to[..self.len].copy_from_slice(from);
        }
    }

    /// Copies the runs of `map` to `to`, without gaps.
    pub fn copy_out(&self, map: &[f32], to: &mut [f32]) {
        for (to, from) in to
            .chunks_exact_mut(self.len)
            .zip(map[self.start..].chunks(self.stride))
        {
            to.copy_from_slice(&from[..self.len]);
        }
    }
}

simd_fn! {
    /// Adds Σ (x − shift) and Σ (x − shift)² of `x [rows, c]`.
    pub fn moments<'a>(simd: S, x: &'a [f32], shift: &'a [f32], sums: &'a mut Sums) {
        let c = shift.len();
        sums.rows += (x.len() / c) as f64;
        columns!(S, c, |at, width, V, FULL| {
            let shift: [S::f32s; V] = wide::<S, V, FULL>(simd, &shift[at..at + width]);
            let mut sum = [simd.splat_f32s(0.0); V];
            let mut squares = sum;
            for x in x.chunks_exact(c) {
                let x: [S::f32s; V] = wide::<S, V, FULL>(simd, &x[at..at + width]);
                for v in 0..V {
                    let d = simd.sub_f32s(x[v], shift[v]);
                    sum[v] = simd.add_f32s(sum[v], d);
                    squares[v] = simd.mul_add_e_f32s(d, d, squares[v]);
                }
            }
            deposit::<S, V>(simd, &sum, &mut sums.first[at..at + width]);
            deposit::<S, V>(simd, &squares, &mut sums.second[at..at + width]);
        });
    }
}

simd_fn! {
    /// y = f(x a + b) for `x [rows, c]`; y lies in `runs`.
    pub fn apply<'a, F: Function>(
        simd: S, x: &'a [f32], a: &'a [f32], b: &'a [f32], y: &'a mut [f32], runs: Runs,
    ) {
        let c = a.len();
        let ((a, a_rest), (b, b_rest)) = (S::as_simd_f32s(a), S::as_simd_f32s(b));
        for (y, x) in y[runs.start..].chunks_mut(runs.stride).zip(x.chunks_exact(runs.len)) {
            for (y, x) in y[..runs.len].chunks_exact_mut(c).zip(x.chunks_exact(c)) {
                let ((y, y_rest), (x, x_rest)) = (S::as_mut_simd_f32s(y), S::as_simd_f32s(x));
                for (((y, x), a), b) in y.iter_mut().zip(x).zip(a).zip(b) {
                    *y = F::value(simd, simd.mul_add_e_f32s(*x, *a, *b));
                }
                if !x_rest.is_empty() {
                    let [x, a, b] = [x_rest, a_rest, b_rest].map(|r| load::<S, false>(simd, r));
                    store::<S, false>(simd, y_rest, F::value(simd, simd.mul_add_e_f32s(x, a, b)));
                }
            }
        }
    }
}

simd_fn! {
    /// y = f(z) in `runs` and slope = f'(z) without gaps, z = x a + b.
    pub fn apply_both<'a, F: Function>(
        simd: S, x: &'a [f32], a: &'a [f32], b: &'a [f32],
        y: &'a mut [f32], runs: Runs, slope: &'a mut [f32],
    ) {
        let c = a.len();
        let ((a, a_rest), (b, b_rest)) = (S::as_simd_f32s(a), S::as_simd_f32s(b));
        for ((y, x), slope) in y[runs.start..]
            .chunks_mut(runs.stride)
            .zip(x.chunks_exact(runs.len))
            .zip(slope.chunks_exact_mut(runs.len))
        {
            for ((y, x), slope) in y[..runs.len]
                .chunks_exact_mut(c)
                .zip(x.chunks_exact(c))
                .zip(slope.chunks_exact_mut(c))
            {
                let ((y, y_rest), (x, x_rest)) = (S::as_mut_simd_f32s(y), S::as_simd_f32s(x));
                let (slope, slope_rest) = S::as_mut_simd_f32s(slope);
                for ((((y, slope), x), a), b) in y.iter_mut().zip(slope).zip(x).zip(a).zip(b) {
                    (*y, *slope) = F::both(simd, simd.mul_add_e_f32s(*x, *a, *b));
                }
                if !x_rest.is_empty() {
                    let [x, a, b] = [x_rest, a_rest, b_rest].map(|r| load::<S, false>(simd, r));
                    let (value, d) = F::both(simd, simd.mul_add_e_f32s(x, a, b));
                    store::<S, false>(simd, y_rest, value);
                    store::<S, false>(simd, slope_rest, d);
                }
            }
        }
    }
}

simd_fn! {
    /// g = dy slope, in place on `dy [rows, c]`; adds Σ g and Σ g (x − mean).
    pub fn through_slope<'a>(
        simd: S, dy: &'a mut [f32], slope: &'a [f32], x: &'a [f32], mean: &'a [f32],
        sums: &'a mut Sums,
    ) {
        let c = mean.len();
        sums.rows += (x.len() / c) as f64;
        columns!(S, c, |at, width, V, FULL| {
            let to = at + width;
            let mean: [S::f32s; V] = wide::<S, V, FULL>(simd, &mean[at..to]);
            let mut sum = [simd.splat_f32s(0.0); V];
            let mut along = sum;
            for ((dy, slope), x) in dy
                .chunks_exact_mut(c)
                .zip(slope.chunks_exact(c))
                .zip(x.chunks_exact(c))
            {
                let d: [S::f32s; V] = wide::<S, V, FULL>(simd, &dy[at..to]);
                let s: [S::f32s; V] = wide::<S, V, FULL>(simd, &slope[at..to]);
                let x: [S::f32s; V] = wide::<S, V, FULL>(simd, &x[at..to]);
                let mut g = d;
                for v in 0..V {
                    g[v] = simd.mul_f32s(d[v], s[v]);
                    sum[v] = simd.add_f32s(sum[v], g[v]);
                    along[v] = simd.mul_add_e_f32s(g[v], simd.sub_f32s(x[v], mean[v]), along[v]);
                }
                put::<S, V, FULL>(simd, &mut dy[at..to], &g);
            }
            deposit::<S, V>(simd, &sum, &mut sums.first[at..to]);
            deposit::<S, V>(simd, &along, &mut sums.second[at..to]);
        });
    }
}

simd_fn! {
    /// g = dy f'(x a + b), in place on `dy [rows, c]`; adds Σ g and Σ g (x − mean).
    pub fn through<'a, F: Function>(
        simd: S, dy: &'a mut [f32], x: &'a [f32], k: &'a Forward, sums: &'a mut Sums,
    ) {
        let c = k.a.len();
        sums.rows += (x.len() / c) as f64;
        columns!(S, c, |at, width, V, FULL| {
            let to = at + width;
            let a: [S::f32s; V] = wide::<S, V, FULL>(simd, &k.a[at..to]);
            let b: [S::f32s; V] = wide::<S, V, FULL>(simd, &k.b[at..to]);
            let mean: [S::f32s; V] = wide::<S, V, FULL>(simd, &k.mean[at..to]);
            let mut sum = [simd.splat_f32s(0.0); V];
            let mut along = sum;
            for (dy, x) in dy.chunks_exact_mut(c).zip(x.chunks_exact(c)) {
                let d: [S::f32s; V] = wide::<S, V, FULL>(simd, &dy[at..to]);
                let x: [S::f32s; V] = wide::<S, V, FULL>(simd, &x[at..to]);
                let mut g = d;
                for v in 0..V {
                    let (_, slope) = F::both(simd, simd.mul_add_e_f32s(x[v], a[v], b[v]));
                    g[v] = simd.mul_f32s(d[v], slope);
                    sum[v] = simd.add_f32s(sum[v], g[v]);
                    along[v] = simd.mul_add_e_f32s(g[v], simd.sub_f32s(x[v], mean[v]), along[v]);
                }
                put::<S, V, FULL>(simd, &mut dy[at..to], &g);
            }
            deposit::<S, V>(simd, &sum, &mut sums.first[at..to]);
            deposit::<S, V>(simd, &along, &mut sums.second[at..to]);
        });
    }
}

simd_fn! {
    /// dx = k0 g + k1 x + k2 for `g, x [rows, c]`; dx lies in `runs`.
    pub fn blend<'a>(
        simd: S, g: &'a [f32], x: &'a [f32], k: &'a Backward, dx: &'a mut [f32], runs: Runs,
    ) {
        let c = k.k0.len();
        let [(k0, rest0), (k1, rest1), (k2, rest2)] =
            [&k.k0, &k.k1, &k.k2].map(|k| S::as_simd_f32s(k));
        for ((dx, g), x) in dx[runs.start..]
            .chunks_mut(runs.stride)
            .zip(g.chunks_exact(runs.len))
            .zip(x.chunks_exact(runs.len))
        {
            for ((dx, g), x) in dx[..runs.len]
                .chunks_exact_mut(c)
                .zip(g.chunks_exact(c))
                .zip(x.chunks_exact(c))
            {
                let (dx, dx_rest) = S::as_mut_simd_f32s(dx);
                let ((g, g_rest), (x, x_rest)) = (S::as_simd_f32s(g), S::as_simd_f32s(x));
                for (((((dx, g), x), k0), k1), k2) in
                    dx.iter_mut().zip(g).zip(x).zip(k0).zip(k1).zip(k2)
                {
                    *dx = simd.mul_add_e_f32s(*k0, *g, simd.mul_add_e_f32s(*k1, *x, *k2));
                }
                if !g_rest.is_empty() {
                    let [g, x, k0, k1, k2] = [g_rest, x_rest, rest0, rest1, rest2]
                        .map(|r| load::<S, false>(simd, r));
                    let line = simd.mul_add_e_f32s(k1, x, k2);
                    store::<S, false>(simd, dx_rest, simd.mul_add_e_f32s(k0, g, line));
                }
            }
        }
    }
}

/// V vectors from the start of `slice`.
#[inline(always)]
fn wide<S: Simd, const V: usize, const FULL: bool>(simd: S, slice: &[f32]) -> [S::f32s; V] {
    if FULL {
        let vectors = S::as_simd_f32s(slice).0;
        core::array::from_fn(|v| vectors[v])
    } else {
        [load::<S, false>(simd, slice); V]
    }
}

/// Writes V vectors to the start of `slice`.
#[expect(
    clippy::manual_memcpy,
    reason = "V is a constant: the loop is unrolled"
)]
#[inline(always)]
fn put<S: Simd, const V: usize, const FULL: bool>(
    simd: S,
    slice: &mut [f32],
    values: &[S::f32s; V],
) {
    if FULL {
        let vectors = S::as_mut_simd_f32s(slice).0;
        for v in 0..V {
            vectors[v] = values[v];
        }
    } else {
        store::<S, false>(simd, slice, values[0]);
    }
}

/// Adds V vectors to f64 sums, of which the last may be fewer than a vector's lanes.
#[inline(always)]
fn deposit<S: Simd, const V: usize>(simd: S, values: &[S::f32s; V], sums: &mut [f64]) {
    let mut plain = [0.0f32; 32];
    for (part, value) in plain.chunks_mut(lanes::<S>()).zip(values) {
        store::<S, false>(simd, part, *value);
    }
    for (sum, value) in sums.iter_mut().zip(plain) {
        *sum += f64::from(value);
    }
}
