//! Window sums over a padded map: the forward pass, and the input gradient of stride 1.

#![allow(unsafe_code)] // reads that one assertion covers

use core::marker::PhantomData;

use super::Window;
use super::read::{load_at, put};
use crate::nn::kernels::function::Function;
use crate::nn::kernels::simd::{Simd, for_vectors, load, simd_fn, store};

simd_fn! {
    /// Output of one sample from its padded input.
    pub fn forward<'a>(simd: S, g: &'a Window, x: &'a [f32], w: &'a [f32], y: &'a mut [f32]) {
        windows(simd, g, x, w, y, Sums);
    }
}

simd_fn! {
    /// f(output + b), b `[c]`, of one sample from its padded input.
    pub fn forward_activated<'a, F: Function>(
        simd: S, g: &'a Window, x: &'a [f32], w: &'a [f32], b: &'a [f32], y: &'a mut [f32],
    ) {
        windows(simd, g, x, w, y, Activated::<F> { b, f: PhantomData });
    }
}

/// What window sums begin with and what becomes of them.
pub(super) trait Finish: Copy {
    /// The sums of the vector of channels from `at` on before the first tap.
    fn first<S: Simd, const FULL: bool>(&self, simd: S, at: usize, lanes: usize) -> S::f32s;
    /// The output for a vector of sums.
    fn value<S: Simd>(&self, simd: S, sum: S::f32s) -> S::f32s;
}

/// The sums themselves.
#[derive(Clone, Copy)]
pub(super) struct Sums;

impl Finish for Sums {
    #[inline(always)]
    fn first<S: Simd, const FULL: bool>(&self, simd: S, _: usize, _: usize) -> S::f32s {
        simd.splat_f32s(0.0)
    }
    #[inline(always)]
    fn value<S: Simd>(&self, _: S, sum: S::f32s) -> S::f32s {
        sum
    }
}

/// f(sum + b).
struct Activated<'a, F> {
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
    #[inline(always)]
    fn first<S: Simd, const FULL: bool>(&self, simd: S, at: usize, lanes: usize) -> S::f32s {
        load::<S, FULL>(simd, &self.b[at..at + lanes])
    }
    #[inline(always)]
    fn value<S: Simd>(&self, simd: S, sum: S::f32s) -> S::f32s {
        F::value(simd, sum)
    }
}

#[inline(always)]
fn windows<S: Simd, E: Finish>(simd: S, g: &Window, x: &[f32], w: &[f32], y: &mut [f32], e: E) {
    let row = g.padded().1 * g.c;
    match (g.kernel, g.stride) {
        (3, 1) => correlate::<S, E, 3, 1, 4>(simd, (x, row), g.c, w, y, g.output.1, e),
        (5, 1) => correlate::<S, E, 5, 1, 2>(simd, (x, row), g.c, w, y, g.output.1, e),
        (7, 1) => correlate::<S, E, 7, 1, 2>(simd, (x, row), g.c, w, y, g.output.1, e),
        (3, 2) => correlate::<S, E, 3, 2, 4>(simd, (x, row), g.c, w, y, g.output.1, e),
        (5, 2) => correlate::<S, E, 5, 2, 2>(simd, (x, row), g.c, w, y, g.output.1, e),
        (7, 2) => correlate::<S, E, 7, 2, 2>(simd, (x, row), g.c, w, y, g.output.1, e),
        (k, s) => any(simd, (x, row), g.c, (w, k, s), y, g.output.1, e),
    }
}

/// y [rows, width, c] = finished window sums of x, K x K, for a known kernel and stride.
#[inline(always)]
pub(super) fn correlate<S: Simd, E: Finish, const K: usize, const STRIDE: usize, const N: usize>(
    simd: S,
    (x, row): (&[f32], usize),
    c: usize,
    w: &[f32],
    y: &mut [f32],
    width: usize,
    e: E,
) {
    for (oy, y) in y.chunks_exact_mut(width * c).enumerate() {
        let x = &x[oy * STRIDE * row..];
        let x = &x[..(K - 1) * row + ((width - 1) * STRIDE + K) * c];
        let w = &w[..K * K * c];
        let mut ox = 0;
        while ox < width {
            let (x, y) = (&x[ox * STRIDE * c..], &mut y[ox * c..]);
            if width - ox >= N {
                for_vectors!(S, c, |at, lanes, FULL| {
                    let first = e.first::<S, FULL>(simd, at, lanes);
                    let (x, w) = (&x[at..], &w[at..]);
                    let mut sums =
                        pixels::<S, K, STRIDE, N, FULL>(simd, x, row, c, w, lanes, first);
                    for sum in &mut sums {
                        *sum = e.value(simd, *sum);
                    }
                    put::<S, N, FULL>(simd, &sums, &mut y[at..], c, lanes);
                });
                ox += N;
            } else {
                for_vectors!(S, c, |at, lanes, FULL| {
                    let first = e.first::<S, FULL>(simd, at, lanes);
                    let (x, w) = (&x[at..], &w[at..]);
                    let mut sums =
                        pixels::<S, K, STRIDE, 1, FULL>(simd, x, row, c, w, lanes, first);
                    for sum in &mut sums {
                        *sum = e.value(simd, *sum);
                    }
                    put::<S, 1, FULL>(simd, &sums, &mut y[at..], c, lanes);
                });
                ox += 1;
            }
        }
    }
}

/// N neighbors of an output row for one vector of channels. An input pixel is read once and meets
/// every tap that reaches it.
#[inline(always)]
fn pixels<S: Simd, const K: usize, const STRIDE: usize, const N: usize, const FULL: bool>(
    simd: S,
    x: &[f32],
    row: usize,
    c: usize,
    w: &[f32],
    lanes: usize,
    first: S::f32s,
) -> [S::f32s; N] {
    assert!(x.len() >= (K - 1) * row + ((N - 1) * STRIDE + K - 1) * c + lanes);
    assert!(w.len() >= (K * K - 1) * c + lanes);
    let mut acc = [first; N];
    for ky in 0..K {
        let mut taps = [first; K];
        for (kx, tap) in taps.iter_mut().enumerate() {
            // SAFETY: (ky * K + kx) * c + lanes is at most the length asserted above.
            *tap = unsafe { load_at::<S, FULL>(simd, w, (ky * K + kx) * c, lanes) };
        }
        for i in 0..(N - 1) * STRIDE + K {
            // SAFETY: i is at most (N - 1) * STRIDE + K - 1, ky at most K - 1.
            let value = unsafe { load_at::<S, FULL>(simd, x, ky * row + i * c, lanes) };
            for (n, acc) in acc.iter_mut().enumerate() {
                if (n * STRIDE..n * STRIDE + K).contains(&i) {
                    *acc = simd.mul_add_e_f32s(value, taps[i - n * STRIDE], *acc);
                }
            }
        }
    }
    acc
}

/// The same for any kernel and stride.
#[inline(always)]
pub(super) fn any<S: Simd, E: Finish>(
    simd: S,
    (x, row): (&[f32], usize),
    c: usize,
    (w, k, stride): (&[f32], usize, usize),
    y: &mut [f32],
    width: usize,
    e: E,
) {
    for (oy, y) in y.chunks_exact_mut(width * c).enumerate() {
        for (ox, y) in y.chunks_exact_mut(c).enumerate() {
            for_vectors!(S, c, |at, lanes, FULL| {
                let mut acc = e.first::<S, FULL>(simd, at, lanes);
                for ky in 0..k {
                    for kx in 0..k {
                        let from = (oy * stride + ky) * row + (ox * stride + kx) * c + at;
                        let tap = (ky * k + kx) * c + at;
                        acc = simd.mul_add_e_f32s(
                            load::<S, FULL>(simd, &x[from..from + lanes]),
                            load::<S, FULL>(simd, &w[tap..tap + lanes]),
                            acc,
                        );
                    }
                }
                store::<S, FULL>(simd, &mut y[at..at + lanes], e.value(simd, acc));
            });
        }
    }
}
