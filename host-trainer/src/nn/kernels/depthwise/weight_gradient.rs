//! The gradient of the kernel: taps stay in registers over a row of the output.

#![allow(unsafe_code)] // reads that one assertion covers

use super::Window;
use super::read::load_at;
use crate::nn::kernels::simd::{Simd, lanes, load, simd_fn, store};

simd_fn! {
    /// Adds one sample's gradient of the kernel, from the padded input and the surrounded output
    /// gradient.
    pub fn weight_gradient<'a>(simd: S, g: &'a Window, x: &'a [f32], dy: &'a [f32], dw: &'a mut [f32]) {
        match (g.kernel, g.stride) {
            (3, 1) => kernel_gradient::<S, 3, 1>(simd, g, x, dy, dw, 0),
            (5, 1) => kernel_gradient::<S, 5, 1>(simd, g, x, dy, dw, 0),
            (7, 1) => kernel_gradient::<S, 7, 1>(simd, g, x, dy, dw, 0),
            (3, 2) => kernel_gradient::<S, 3, 2>(simd, g, x, dy, dw, 0),
            (5, 2) => kernel_gradient::<S, 5, 2>(simd, g, x, dy, dw, 0),
            (7, 2) => kernel_gradient::<S, 7, 2>(simd, g, x, dy, dw, 0),
            (k, _) => {
                for kx in 0..k {
                    kernel_gradient::<S, 1, 0>(simd, g, x, dy, dw, kx);
                }
            }
        }
    }
}

/// K taps of every kernel row, from column `first` on.
#[inline(always)]
fn kernel_gradient<S: Simd, const K: usize, const STRIDE: usize>(
    simd: S,
    g: &Window,
    x: &[f32],
    dy: &[f32],
    dw: &mut [f32],
    first: usize,
) {
    let (c, row) = (g.c, g.padded().1 * g.c);
    let stride = if STRIDE == 0 { g.stride } else { STRIDE };
    let runs = g.surrounded_runs();
    for oy in 0..g.output.0 {
        let dy = &dy[runs.start + oy * runs.stride..][..runs.len];
        for ky in 0..g.kernel {
            let x = &x[(oy * stride + ky) * row + first * c..];
            let x = &x[..((g.output.1 - 1) * stride + K) * c];
            let taps = &mut dw[(ky * g.kernel + first) * c..][..K * c];
            let mut at = 0;
            while at + 2 * lanes::<S>() <= c {
                row_gradient::<S, K, STRIDE, 2, true>(
                    simd,
                    (x, dy),
                    (c, stride),
                    at,
                    lanes::<S>(),
                    taps,
                );
                at += 2 * lanes::<S>();
            }
            while at + lanes::<S>() <= c {
                row_gradient::<S, K, STRIDE, 1, true>(
                    simd,
                    (x, dy),
                    (c, stride),
                    at,
                    lanes::<S>(),
                    taps,
                );
                at += lanes::<S>();
            }
            if at < c {
                row_gradient::<S, K, STRIDE, 1, false>(
                    simd,
                    (x, dy),
                    (c, stride),
                    at,
                    c - at,
                    taps,
                );
            }
        }
    }
}

/// K taps of one kernel row for V vectors of channels, summed over one output row: two pixels at
/// a time, so that an input pixel that both read is loaded once. STRIDE 0 is any stride.
#[inline(always)]
fn row_gradient<S: Simd, const K: usize, const STRIDE: usize, const V: usize, const FULL: bool>(
    simd: S,
    (x, dy): (&[f32], &[f32]),
    (c, stride): (usize, usize),
    at: usize,
    lanes: usize,
    taps: &mut [f32],
) {
    let width = dy.len() / c;
    assert!(at + V * lanes <= c && x.len() >= ((width.max(1) - 1) * stride + K) * c);
    let mut acc = [[simd.splat_f32s(0.0); K]; V];
    for (v, acc) in acc.iter_mut().enumerate() {
        for (k, acc) in acc.iter_mut().enumerate() {
            *acc = load::<S, FULL>(simd, &taps[k * c + at + v * lanes..][..lanes]);
        }
    }
    // SAFETY: pixel `ox * stride + i` of x with i < K, and pixel `ox` of dy, lie within the
    // lengths that are asserted above, and the vectors at + v * lanes within a pixel's c numbers.
    let x_at = |pixel: usize, v: usize| unsafe {
        load_at::<S, FULL>(simd, x, pixel * c + at + v * lanes, lanes)
    };
    // SAFETY: as above.
    let dy_at = |ox: usize, v: usize| unsafe {
        load_at::<S, FULL>(simd, dy, ox * c + at + v * lanes, lanes)
    };
    let mut ox = 0;
    while STRIDE > 0 && ox + 2 <= width {
        for (v, acc) in acc.iter_mut().enumerate() {
            let d = [dy_at(ox, v), dy_at(ox + 1, v)];
            for i in 0..STRIDE + K {
                let x = x_at(ox * STRIDE + i, v);
                for (n, d) in d.iter().enumerate() {
                    if (n * STRIDE..n * STRIDE + K).contains(&i) {
                        let acc = &mut acc[i - n * STRIDE];
                        *acc = simd.mul_add_e_f32s(x, *d, *acc);
                    }
                }
            }
        }
        ox += 2;
    }
    while ox < width {
        for (v, acc) in acc.iter_mut().enumerate() {
            let d = dy_at(ox, v);
            for (k, acc) in acc.iter_mut().enumerate() {
                *acc = simd.mul_add_e_f32s(x_at(ox * stride + k, v), d, *acc);
            }
        }
        ox += 1;
    }
    for (v, acc) in acc.iter().enumerate() {
        for (k, acc) in acc.iter().enumerate() {
            store::<S, FULL>(simd, &mut taps[k * c + at + v * lanes..][..lanes], *acc);
        }
    }
}
