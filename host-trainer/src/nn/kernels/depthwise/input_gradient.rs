//! The gradient of the input. With a stride above 1, pixels fall into phases, each of which is a
//! stride-1 sum over the output gradient with a part of the kernel.

#![allow(unsafe_code)] // reads that one assertion covers

use super::Window;
use super::correlate::{Sums, any, correlate};
use super::read::{load_at, put};
use crate::nn::kernels::simd::{Simd, for_vectors, load, simd_fn, store};

/// Pixels in registers at once.
const COLUMNS: usize = 4;

/// The kernel turned by 180 degrees, for [`input_gradient`].
pub fn turned(w: &[f32], c: usize) -> Vec<f32> {
    w.rchunks_exact(c).flatten().copied().collect()
}

simd_fn! {
    /// Gradient of one sample's input from its surrounded output gradient; `w` is [`turned`].
    pub fn input_gradient<'a>(simd: S, g: &'a Window, dy: &'a [f32], w: &'a [f32], dx: &'a mut [f32]) {
        let (zeros, (_, width)) = g.around();
        let row = width * g.c;
        if g.stride == 1 {
            // Input i reads outputs i + before - k + 1 ..= i + before, zeros further on.
            let skip = |before: usize| zeros + before + 1 - g.kernel;
            let dy = &dy[skip(g.before.0) * row + skip(g.before.1) * g.c..];
            return match g.kernel {
                3 => correlate::<S, Sums, 3, 1, 4>(simd, (dy, row), g.c, w, dx, g.input.1, Sums),
                5 => correlate::<S, Sums, 5, 1, 2>(simd, (dy, row), g.c, w, dx, g.input.1, Sums),
                7 => correlate::<S, Sums, 7, 1, 2>(simd, (dy, row), g.c, w, dx, g.input.1, Sums),
                k => any(simd, (dy, row), g.c, (w, k, 1), dx, g.input.1, Sums),
            };
        }
        for (iy, dx) in dx.chunks_exact_mut(g.input.1 * g.c).enumerate() {
            for first in 0..g.stride.min(g.input.1) {
                strided_row::<S>(simd, g, (dy, row, zeros), w, (iy, first), dx);
            }
        }
    }
}

/// One row of the input gradient for a stride above 1: every `stride`-th pixel from `first` on.
/// They meet the same taps, each a run of neighbors in the output gradient.
#[inline(always)]
fn strided_row<S: Simd>(
    simd: S,
    g: &Window,
    dy: (&[f32], usize, usize),
    w: &[f32],
    at: (usize, usize),
    dx: &mut [f32],
) {
    let taps = |p: usize| g.kernel.saturating_sub(p % g.stride).div_ceil(g.stride);
    match taps(at.1 + g.before.1) {
        1 => phase::<S, 1>(simd, g, dy, w, at, dx),
        2 => phase::<S, 2>(simd, g, dy, w, at, dx),
        3 => phase::<S, 3>(simd, g, dy, w, at, dx),
        4 => phase::<S, 4>(simd, g, dy, w, at, dx),
        // A kernel narrower than its stride leaves pixels that no output reads.
        0 => {
            for dx in dx.chunks_exact_mut(g.c).skip(at.1).step_by(g.stride) {
                dx.fill(0.0);
            }
        }
        _ => wide_phase::<S>(simd, g, dy, w, at, dx),
    }
}

/// Those pixels for T taps in a row.
#[inline(always)]
fn phase<S: Simd, const T: usize>(
    simd: S,
    g: &Window,
    (dy, row, zeros): (&[f32], usize, usize),
    w: &[f32],
    (iy, first): (usize, usize),
    dx: &mut [f32],
) {
    let (c, stride) = (g.c, g.stride);
    let count = (g.input.1 - first).div_ceil(stride);
    let mut j = 0;
    while j < count {
        let here = (iy, first, j);
        if count - j >= COLUMNS {
            for_vectors!(S, c, |at, lanes, FULL| {
                let sums = turned_pixels::<S, T, COLUMNS, FULL>(
                    simd,
                    g,
                    (dy, row, zeros),
                    w,
                    here,
                    (at, lanes),
                );
                let to = (first + j * stride) * c + at;
                put::<S, COLUMNS, FULL>(simd, &sums, &mut dx[to..], stride * c, lanes);
            });
            j += COLUMNS;
        } else {
            for_vectors!(S, c, |at, lanes, FULL| {
                let sums =
                    turned_pixels::<S, T, 1, FULL>(simd, g, (dy, row, zeros), w, here, (at, lanes));
                let to = (first + j * stride) * c + at;
                put::<S, 1, FULL>(simd, &sums, &mut dx[to..], stride * c, lanes);
            });
            j += 1;
        }
    }
}

/// N of those pixels from the `j`-th on, for one vector of channels.
#[inline(always)]
fn turned_pixels<S: Simd, const T: usize, const N: usize, const FULL: bool>(
    simd: S,
    g: &Window,
    (dy, row, zeros): (&[f32], usize, usize),
    w: &[f32],
    (iy, first, j): (usize, usize, usize),
    (at, lanes): (usize, usize),
) -> [S::f32s; N] {
    let (c, stride, last) = (g.c, g.stride, g.kernel - 1);
    let (py, px) = (iy + g.before.0, first + g.before.1);
    // The first tap reads the last of T neighbors.
    let (kx, ox) = (px % stride, (px - px % stride) / stride + zeros + j + 1 - T);
    let mut acc = [simd.splat_f32s(0.0); N];
    for ky in (py % stride..g.kernel).step_by(stride) {
        let dy = &dy[(py + zeros * stride - ky) / stride * row + ox * c + at..];
        let w = &w[(last - ky) * g.kernel * c..];
        assert!(dy.len() >= (N + T - 2) * c + lanes && at + lanes <= c);
        let w: [S::f32s; T] = core::array::from_fn(|t| {
            load::<S, FULL>(simd, &w[(last - kx - t * stride) * c + at..][..lanes])
        });
        for i in (0..N + T - 1).rev() {
            // SAFETY: i * c + lanes is at most the length asserted above.
            let value = unsafe { load_at::<S, FULL>(simd, dy, i * c, lanes) };
            for (n, acc) in acc.iter_mut().enumerate() {
                if (n..n + T).contains(&i) {
                    *acc = simd.mul_add_e_f32s(value, w[n + T - 1 - i], *acc);
                }
            }
        }
    }
    acc
}

/// Those pixels for any number of taps.
#[inline(always)]
fn wide_phase<S: Simd>(
    simd: S,
    g: &Window,
    (dy, row, zeros): (&[f32], usize, usize),
    w: &[f32],
    (iy, first): (usize, usize),
    dx: &mut [f32],
) {
    let (c, stride, last) = (g.c, g.stride, g.kernel - 1);
    let (py, px) = (iy + g.before.0, first + g.before.1);
    for (j, dx) in dx
        .chunks_exact_mut(c)
        .skip(first)
        .step_by(stride)
        .enumerate()
    {
        for_vectors!(S, c, |at, width, FULL| {
            let mut acc = simd.splat_f32s(0.0);
            for ky in (py % stride..g.kernel).step_by(stride) {
                let from = (py + zeros * stride - ky) / stride * row;
                for kx in (px % stride..g.kernel).step_by(stride) {
                    let ox = (px + zeros * stride - kx) / stride + j;
                    let tap = ((last - ky) * g.kernel + last - kx) * c + at;
                    let w = load::<S, FULL>(simd, &w[tap..tap + width]);
                    let d = load::<S, FULL>(simd, &dy[from + ox * c + at..][..width]);
                    acc = simd.mul_add_e_f32s(d, w, acc);
                }
            }
            store::<S, FULL>(simd, &mut dx[at..at + width], acc);
        });
    }
}
