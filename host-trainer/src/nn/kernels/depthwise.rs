//! Depthwise convolution of one NHWC sample, forward and both gradients, without border cases.
//!
//! The caller keeps the input with its SAME padding around it ([`Window::padded`]) and the output
//! gradient with zeros around it ([`Window::surrounded`]): the pass before writes its rows there
//! anyway, and no loop asks where the image ends. Each loop goes row by row, one vector of
//! channels at a time, four output columns in registers.

use super::normalize::Runs;
use super::simd::{Simd, for_vectors, lanes, load, simd_fn, store};
use pupil_core::shape::same_padding;

/// Output columns in registers at once.
const COLUMNS: usize = 4;
/// Room for the input columns that they read: kernel 7, stride 2 and less.
const REACH: usize = 16;

/// One depthwise convolution: kernel `[kernel*kernel, c]`, SAME padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Height and width of the input.
    pub input: (usize, usize),
    /// Height and width of the output.
    pub output: (usize, usize),
    /// Channels.
    pub c: usize,
    /// Height and width of the kernel.
    pub kernel: usize,
    /// In both directions.
    pub stride: usize,
    /// Zeros above and left of the input.
    pub before: (usize, usize),
}

impl Window {
    /// Over maps of `h` x `w` x `c`.
    pub fn same((h, w): (usize, usize), c: usize, kernel: usize, stride: usize) -> Self {
        Self {
            input: (h, w),
            output: (h.div_ceil(stride), w.div_ceil(stride)),
            c,
            kernel,
            stride,
            before: (
                same_padding(h, kernel, stride).0,
                same_padding(w, kernel, stride).0,
            ),
        }
    }

    /// Height and width of the input with its padding; large enough for every tap.
    pub fn padded(&self) -> (usize, usize) {
        let reach = |out: usize, len: usize, before: usize| {
            ((out - 1) * self.stride + self.kernel).max(before + len)
        };
        (
            reach(self.output.0, self.input.0, self.before.0),
            reach(self.output.1, self.input.1, self.before.1),
        )
    }

    /// Numbers of the padded input.
    pub fn padded_len(&self) -> usize {
        self.padded().0 * self.padded().1 * self.c
    }

    /// Where the input's rows lie in the padded input.
    pub fn padded_runs(&self) -> Runs {
        let stride = self.padded().1 * self.c;
        Runs {
            len: self.input.1 * self.c,
            stride,
            start: self.before.0 * stride + self.before.1 * self.c,
        }
    }

    /// Zeros before the output gradient, and its height and width with zeros on all sides.
    fn around(&self) -> (usize, (usize, usize)) {
        let zeros = (self.kernel - 1).div_ceil(self.stride);
        let total = |out: usize, len: usize, before: usize| {
            // Input position len - 1 reads output (len - 1 + before) / stride.
            (out + 2 * zeros).max((len - 1 + before) / self.stride + zeros + 1)
        };
        (
            zeros,
            (
                total(self.output.0, self.input.0, self.before.0),
                total(self.output.1, self.input.1, self.before.1),
            ),
        )
    }

    /// Numbers of the output gradient with zeros around it.
    pub fn surrounded_len(&self) -> usize {
        let (_, (h, w)) = self.around();
        h * w * self.c
    }

    /// Where the output gradient's rows lie among the zeros.
    pub fn surrounded_runs(&self) -> Runs {
        let (zeros, (_, w)) = self.around();
        let stride = w * self.c;
        Runs {
            len: self.output.1 * self.c,
            stride,
            start: zeros * stride + zeros * self.c,
        }
    }

    /// Numbers of the output.
    pub fn output_len(&self) -> usize {
        self.output.0 * self.output.1 * self.c
    }

    /// Numbers of the input.
    pub fn input_len(&self) -> usize {
        self.input.0 * self.input.1 * self.c
    }
}

simd_fn! {
    /// Output of one sample from its padded input.
    pub fn forward<'a>(simd: S, g: &'a Window, x: &'a [f32], w: &'a [f32], y: &'a mut [f32]) {
        let row = g.padded().1 * g.c;
        match (g.kernel, g.stride) {
            (3, 1) => correlate::<S, 3, 1>(simd, (x, row), g.c, w, y, g.output.1),
            (5, 1) => correlate::<S, 5, 1>(simd, (x, row), g.c, w, y, g.output.1),
            (7, 1) => correlate::<S, 7, 1>(simd, (x, row), g.c, w, y, g.output.1),
            (3, 2) => correlate::<S, 3, 2>(simd, (x, row), g.c, w, y, g.output.1),
            (5, 2) => correlate::<S, 5, 2>(simd, (x, row), g.c, w, y, g.output.1),
            (7, 2) => correlate::<S, 7, 2>(simd, (x, row), g.c, w, y, g.output.1),
            (k, s) => any(simd, (x, row), g.c, (w, k, s), y, g.output.1),
        }
    }
}

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
                3 => correlate::<S, 3, 1>(simd, (dy, row), g.c, w, dx, g.input.1),
                5 => correlate::<S, 5, 1>(simd, (dy, row), g.c, w, dx, g.input.1),
                7 => correlate::<S, 7, 1>(simd, (dy, row), g.c, w, dx, g.input.1),
                k => any(simd, (dy, row), g.c, (w, k, 1), dx, g.input.1),
            };
        }
        let last = g.kernel - 1;
        for (iy, dx) in dx.chunks_exact_mut(g.input.1 * g.c).enumerate() {
            let py = iy + g.before.0;
            for (ix, dx) in dx.chunks_exact_mut(g.c).enumerate() {
                let px = ix + g.before.1;
                for_vectors!(S, g.c, |at, width, FULL| {
                    let mut acc = simd.splat_f32s(0.0);
                    for ky in (py % g.stride..g.kernel).step_by(g.stride) {
                        let oy = (py + zeros * g.stride - ky) / g.stride;
                        for kx in (px % g.stride..g.kernel).step_by(g.stride) {
                            let ox = (px + zeros * g.stride - kx) / g.stride;
                            let tap = ((last - ky) * g.kernel + last - kx) * g.c + at;
                            let from = oy * row + ox * g.c + at;
                            acc = simd.mul_add_e_f32s(
                                load::<S, FULL>(simd, &dy[from..from + width]),
                                load::<S, FULL>(simd, &w[tap..tap + width]),
                                acc,
                            );
                        }
                    }
                    store::<S, FULL>(simd, &mut dx[at..at + width], acc);
                });
            }
        }
    }
}

simd_fn! {
    /// Adds one sample's gradient of the kernel, from the padded input and the surrounded output
    /// gradient.
    pub fn weight_gradient<'a>(simd: S, g: &'a Window, x: &'a [f32], dy: &'a [f32], dw: &'a mut [f32]) {
        match g.kernel {
            3 => kernel_gradient::<S, 3>(simd, g, x, dy, dw, 0),
            5 => kernel_gradient::<S, 5>(simd, g, x, dy, dw, 0),
            7 => kernel_gradient::<S, 7>(simd, g, x, dy, dw, 0),
            k => {
                for kx in 0..k {
                    kernel_gradient::<S, 1>(simd, g, x, dy, dw, kx);
                }
            }
        }
    }
}

/// y [rows, width, c] = window sums of x, K x K, for a known kernel and stride.
#[inline(always)]
fn correlate<S: Simd, const K: usize, const STRIDE: usize>(
    simd: S,
    (x, row): (&[f32], usize),
    c: usize,
    w: &[f32],
    y: &mut [f32],
    width: usize,
) {
    for (oy, y) in y.chunks_exact_mut(width * c).enumerate() {
        let x = &x[oy * STRIDE * row..];
        for_vectors!(S, c, |at, lanes, FULL| {
            let mut ox = 0;
            while ox + COLUMNS <= width {
                let mut acc = [simd.splat_f32s(0.0); COLUMNS];
                for ky in 0..K {
                    let x = &x[ky * row + ox * STRIDE * c + at..];
                    let mut window = [simd.splat_f32s(0.0); REACH];
                    for (i, value) in window
                        .iter_mut()
                        .enumerate()
                        .take((COLUMNS - 1) * STRIDE + K)
                    {
                        *value = load::<S, FULL>(simd, &x[i * c..i * c + lanes]);
                    }
                    for kx in 0..K {
                        let tap = (ky * K + kx) * c + at;
                        let w = load::<S, FULL>(simd, &w[tap..tap + lanes]);
                        for (i, acc) in acc.iter_mut().enumerate() {
                            *acc = simd.mul_add_e_f32s(window[i * STRIDE + kx], w, *acc);
                        }
                    }
                }
                for (i, acc) in acc.iter().enumerate() {
                    let to = (ox + i) * c + at;
                    store::<S, FULL>(simd, &mut y[to..to + lanes], *acc);
                }
                ox += COLUMNS;
            }
            while ox < width {
                let mut acc = simd.splat_f32s(0.0);
                for ky in 0..K {
                    for kx in 0..K {
                        let from = ky * row + (ox * STRIDE + kx) * c + at;
                        let tap = (ky * K + kx) * c + at;
                        acc = simd.mul_add_e_f32s(
                            load::<S, FULL>(simd, &x[from..from + lanes]),
                            load::<S, FULL>(simd, &w[tap..tap + lanes]),
                            acc,
                        );
                    }
                }
                store::<S, FULL>(simd, &mut y[ox * c + at..ox * c + at + lanes], acc);
                ox += 1;
            }
        });
    }
}

/// The same for any kernel and stride.
#[inline(always)]
fn any<S: Simd>(
    simd: S,
    (x, row): (&[f32], usize),
    c: usize,
    (w, k, stride): (&[f32], usize, usize),
    y: &mut [f32],
    width: usize,
) {
    for (oy, y) in y.chunks_exact_mut(width * c).enumerate() {
        for (ox, y) in y.chunks_exact_mut(c).enumerate() {
            for_vectors!(S, c, |at, lanes, FULL| {
                let mut acc = simd.splat_f32s(0.0);
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
                store::<S, FULL>(simd, &mut y[at..at + lanes], acc);
            });
        }
    }
}

/// K taps of every kernel row, from column `first` on.
#[inline(always)]
fn kernel_gradient<S: Simd, const K: usize>(
    simd: S,
    g: &Window,
    x: &[f32],
    dy: &[f32],
    dw: &mut [f32],
    first: usize,
) {
    let (c, row) = (g.c, g.padded().1 * g.c);
    let runs = g.surrounded_runs();
    for oy in 0..g.output.0 {
        let dy = &dy[runs.start + oy * runs.stride..][..runs.len];
        for ky in 0..g.kernel {
            let x = &x[(oy * g.stride + ky) * row..][..row];
            let taps = &mut dw[(ky * g.kernel + first) * c..][..K * c];
            let mut at = 0;
            while at + 2 * lanes::<S>() <= c {
                row_gradient::<S, K, 2, true>(simd, g, (x, dy, first), at, 2 * lanes::<S>(), taps);
                at += 2 * lanes::<S>();
            }
            while at + lanes::<S>() <= c {
                row_gradient::<S, K, 1, true>(simd, g, (x, dy, first), at, lanes::<S>(), taps);
                at += lanes::<S>();
            }
            if at < c {
                row_gradient::<S, K, 1, false>(simd, g, (x, dy, first), at, c - at, taps);
            }
        }
    }
}

/// K taps of one kernel row for V vectors of channels, summed over one output row.
#[inline(always)]
fn row_gradient<S: Simd, const K: usize, const V: usize, const FULL: bool>(
    simd: S,
    g: &Window,
    (x, dy, first): (&[f32], &[f32], usize),
    at: usize,
    width: usize,
    taps: &mut [f32],
) {
    let (c, lanes) = (g.c, lanes::<S>());
    let part = |v: usize| (v * lanes, if FULL { lanes } else { width });
    let mut acc = [[simd.splat_f32s(0.0); V]; K];
    for (k, acc) in acc.iter_mut().enumerate() {
        for (v, acc) in acc.iter_mut().enumerate() {
            let (from, len) = part(v);
            *acc = load::<S, FULL>(simd, &taps[k * c + at + from..][..len]);
        }
    }
    for (ox, dy) in dy.chunks_exact(c).enumerate() {
        let x = &x[(ox * g.stride + first) * c + at..];
        for v in 0..V {
            let (from, len) = part(v);
            let d = load::<S, FULL>(simd, &dy[at + from..][..len]);
            for (k, acc) in acc.iter_mut().enumerate() {
                let x = load::<S, FULL>(simd, &x[k * c + from..][..len]);
                acc[v] = simd.mul_add_e_f32s(x, d, acc[v]);
            }
        }
    }
    for (k, acc) in acc.iter().enumerate() {
        for (v, acc) in acc.iter().enumerate() {
            let (from, len) = part(v);
            store::<S, FULL>(simd, &mut taps[k * c + at + from..][..len], *acc);
        }
    }
}
