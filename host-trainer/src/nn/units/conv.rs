//! Convolution, batch norm and activation as one unit, with global average pooling behind it
//! where the map itself is not needed: stem and head of a net.
//!
//! A 1x1 convolution is a matrix product over pixels; a larger one gathers the patches of a few
//! samples at a time, forward and again backward, and never those of the batch.

use rayon::prelude::*;

use super::folded::{self, Pool, scaled};
use super::{ConvNorm, Running, group, part, sum, total};
use crate::nn::activation::Activation;
use crate::nn::kernels::buffers::Buffer;
use crate::nn::kernels::depthwise::Window;
use crate::nn::kernels::function::with_function;
use crate::nn::kernels::gram::gram;
use crate::nn::kernels::matmul::{Panels, matmul, matmul_activated};
use crate::nn::kernels::normalize::{
    Backward, Forward, Runs, Sums, apply, blend, moments, through,
};
use crate::nn::kernels::{patches, pooling};

/// Shapes of one unit and its batch.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shape {
    /// Samples.
    pub n: usize,
    /// Over the channels in.
    pub window: Window,
    /// Channels out.
    pub out_ch: usize,
    /// Behind the normalization.
    pub act: Activation,
    /// Whether the output is the mean of each map, `[n, out_ch]`.
    pub pool: bool,
}

/// What the forward pass keeps: 4 bytes for each number of the map before normalization.
#[derive(Debug)]
pub(crate) struct Saved {
    raw: Buffer,
    /// The normalization.
    pub norm: Forward,
}

impl Shape {
    fn pixels(&self) -> usize {
        self.window.output.0 * self.window.output.1
    }

    /// Rows of the weight matrix.
    fn taps(&self) -> usize {
        self.window.kernel * self.window.kernel * self.window.c
    }

    /// Whether the rows of the weight matrix are the pixels of the input.
    fn is_pointwise(&self) -> bool {
        self.window.kernel == 1 && self.window.stride == 1
    }

    /// Numbers of the output.
    pub(crate) fn output_len(&self) -> usize {
        self.n * self.sample_len()
    }

    /// Numbers of one sample's output.
    fn sample_len(&self) -> usize {
        self.out_ch * if self.pool { 1 } else { self.pixels() }
    }

    /// Calls `f` with the rows that meet the weights, for samples `first ..` of `count`.
    fn with_rows<R>(
        &self,
        x: &[f32],
        (first, count): (usize, usize),
        scratch: &mut Patches,
        f: impl FnOnce(&[f32]) -> R,
    ) -> R {
        let len = self.window.input_len();
        let x = &x[first * len..][..count * len];
        if self.is_pointwise() {
            return f(x);
        }
        let size = self.pixels() * self.taps();
        for (x, rows) in x.chunks_exact(len).zip(scratch.rows.chunks_exact_mut(size)) {
            patches::gather(&self.window, x, &mut scratch.padded, rows);
        }
        f(&scratch.rows[..count * size])
    }

    fn scratch(&self, samples: usize) -> Patches {
        let wanted = !self.is_pointwise();
        let len = |len| if wanted { len } else { 0 };
        Patches {
            padded: Buffer::zeros(len(self.window.padded_len())),
            rows: Buffer::take(len(samples * self.pixels() * self.taps())),
        }
    }
}

/// Memory for the patches of a few samples.
struct Patches {
    padded: Buffer,
    rows: Buffer,
}

/// Output of `x [n, h, w, in_ch]` by the batch's statistics, and what [`backward`] needs.
pub(crate) fn forward(shape: &Shape, x: &[f32], w: &ConvNorm<&[f32]>) -> (Vec<f32>, Saved) {
    let (pixels, out_ch) = (shape.pixels(), shape.out_ch);
    let per = part(shape.n);
    let samples = group(pixels);
    let panels = Panels::new(w.weight, shape.taps(), out_ch);
    let mut shift = vec![0.0; out_ch];
    shape.with_rows(x, (0, 1), &mut shape.scratch(1), |rows| {
        matmul(&rows[..shape.taps()], &panels, &mut shift);
    });
    let mut raw = Buffer::take(shape.n * pixels * out_ch);
    let parts = raw
        .par_chunks_mut(per * pixels * out_ch)
        .enumerate()
        .map(|(index, raw)| {
            let mut sums = Sums::new(out_ch);
            let mut scratch = shape.scratch(samples);
            for (g, raw) in raw.chunks_mut(samples * pixels * out_ch).enumerate() {
                let here = (index * per + g * samples, raw.len() / (pixels * out_ch));
                shape.with_rows(x, here, &mut scratch, |rows| matmul(rows, &panels, raw));
                moments(raw, &shift, &mut sums);
            }
            sums
        })
        .collect();
    let norm = Forward::of_batch(&total(parts, out_ch), &shift, w.gamma, w.beta);
    let y = activate(shape, &raw, &norm);
    (y, Saved { raw, norm })
}

/// The unit with running statistics, normalization folded into its weights.
pub(crate) struct Folded {
    shape: Shape,
    weights: Panels,
    bias: Buffer,
    pool: Pool<(Patches, Buffer)>,
}

impl Folded {
    /// From parameters and running statistics; memory: that of the weights, and for each thread a
    /// sample's patches and, before pooling, its map.
    pub(crate) fn new(shape: Shape, w: &ConvNorm<&[f32]>, running: &Running) -> Self {
        let norm = running.norm(w);
        Self {
            weights: Panels::new(&scaled(w.weight, &norm.a), shape.taps(), shape.out_ch),
            bias: Panels::bias(&norm.b),
            shape,
            pool: Pool::default(),
        }
    }
}

impl folded::Folded for Folded {
    fn output_len(&self) -> usize {
        self.shape.sample_len()
    }

    fn run(&self, x: &[f32], y: &mut [f32]) {
        let (shape, len) = (&self.shape, self.shape.pixels() * self.shape.out_ch);
        let new = || {
            let map = Buffer::take(if shape.pool { len } else { 0 });
            (shape.scratch(1), map)
        };
        self.pool.with(new, |(scratch, map)| {
            let to = if shape.pool { &mut map[..] } else { &mut *y };
            shape.with_rows(x, (0, 1), scratch, |rows| {
                with_function!(shape.act, F =>
                    matmul_activated::<F>(rows, &self.weights, &self.bias, to, Runs::whole(len)));
            });
            if shape.pool {
                pooling::mean(map, y);
            }
        });
    }
}

/// The map before normalization, normalized, activated and maybe pooled.
fn activate(shape: &Shape, raw: &[f32], norm: &Forward) -> Vec<f32> {
    let len = shape.pixels() * shape.out_ch;
    let out = shape.sample_len();
    let per = part(shape.n);
    let mut y = vec![0.0; shape.output_len()];
    y.par_chunks_mut(per * out)
        .zip(raw.par_chunks(per * len))
        .for_each(|(y, raw)| {
            if !shape.pool {
                let runs = Runs::whole(raw.len());
                with_function!(shape.act, F => apply::<F>(raw, &norm.a, &norm.b, y, runs));
                return;
            }
            let mut map = Buffer::take(len);
            let runs = Runs::whole(len);
            for (y, raw) in y.chunks_exact_mut(out).zip(raw.chunks_exact(len)) {
                with_function!(shape.act, F => apply::<F>(raw, &norm.a, &norm.b, &mut map, runs));
                pooling::mean(&map, y);
            }
        });
    y
}

/// Phase 1: pooling and activation; the sums of the normalization.
fn through_activation(shape: &Shape, saved: &Saved, dy: &[f32]) -> (Buffer, Backward) {
    let (pixels, out_ch) = (shape.pixels(), shape.out_ch);
    let len = pixels * out_ch;
    let out = shape.sample_len();
    let (per, samples) = (part(shape.n), group(pixels));
    let mut g = Buffer::take(shape.n * len);
    let parts = g
        .par_chunks_mut(per * len)
        .zip(dy.par_chunks(per * out))
        .zip(saved.raw.par_chunks(per * len))
        .map(|((g, dy), raw)| {
            let mut sums = Sums::new(out_ch);
            for ((g, dy), raw) in g
                .chunks_mut(samples * len)
                .zip(dy.chunks(samples * out))
                .zip(raw.chunks(samples * len))
            {
                if shape.pool {
                    for (g, dy) in g.chunks_exact_mut(len).zip(dy.chunks_exact(out)) {
                        pooling::mean_backward(dy, g);
                    }
                } else {
                    g.copy_from_slice(dy);
                }
                with_function!(shape.act, F => through::<F>(g, raw, &saved.norm, &mut sums));
            }
            sums
        })
        .collect();
    let k = Backward::new(&saved.norm, &total(parts, out_ch));
    (g, k)
}

/// Gradients of x, where `wants_dx`, and of the parameters for the gradient `dy` of the output.
pub(crate) fn backward(
    shape: &Shape,
    x: &[f32],
    w: &ConvNorm<&[f32]>,
    saved: &Saved,
    dy: &[f32],
    wants_dx: bool,
) -> (Option<Vec<f32>>, ConvNorm<Vec<f32>>) {
    let (pixels, out_ch, taps) = (shape.pixels(), shape.out_ch, shape.taps());
    let len = pixels * out_ch;
    let per = part(shape.n);
    let samples = group(pixels);
    let (g, k) = through_activation(shape, saved, dy);
    // Phase 2: normalization, weights, input.
    let panels = Panels::transposed(w.weight, out_ch, taps);
    let in_len = shape.window.input_len();
    let mut dx = vec![0.0; if wants_dx { shape.n * in_len } else { 0 }];
    let mut dx_parts: Vec<&mut [f32]> = if wants_dx {
        dx.chunks_mut(per * in_len).collect()
    } else {
        (0..shape.n.div_ceil(per))
            .map(|_| Default::default())
            .collect()
    };
    let parts: Vec<Vec<f32>> = g
        .par_chunks(per * len)
        .zip(dx_parts.par_iter_mut())
        .enumerate()
        .map(|(index, (g, dx))| {
            let mut dw = vec![0.0; taps * out_ch];
            let mut scratch = shape.scratch(samples);
            let mut before = Buffer::take(samples * len);
            let gathers = wants_dx && !shape.is_pointwise();
            let mut rows = Buffer::take(if gathers { samples * pixels * taps } else { 0 });
            for (i, g) in g.chunks(samples * len).enumerate() {
                let (first, count) = (index * per + i * samples, g.len() / len);
                let raw = &saved.raw[first * len..][..g.len()];
                let before = &mut before[..g.len()];
                blend(g, raw, &k, before, Runs::whole(g.len()));
                shape.with_rows(x, (first, count), &mut scratch, |rows| {
                    gram(rows, before, taps, out_ch, &mut dw);
                });
                if !wants_dx {
                    continue;
                }
                let dx = &mut dx[i * samples * in_len..][..count * in_len];
                if shape.is_pointwise() {
                    matmul(before, &panels, dx);
                    continue;
                }
                let rows = &mut rows[..count * pixels * taps];
                matmul(before, &panels, rows);
                for (dx, rows) in dx
                    .chunks_exact_mut(in_len)
                    .zip(rows.chunks_exact(pixels * taps))
                {
                    patches::scatter(&shape.window, rows, &mut scratch.padded, dx);
                }
                // The borders must be zero again for the next patches; scatter left sums there.
                scratch.padded.fill(0.0);
            }
            dw
        })
        .collect();
    let gradients = ConvNorm {
        weight: sum(parts.iter()),
        gamma: k.gamma,
        beta: k.beta,
    };
    (wants_dx.then_some(dx), gradients)
}
