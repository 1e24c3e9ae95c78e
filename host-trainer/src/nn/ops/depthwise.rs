//! Depthwise convolution over NHWC maps with TensorFlow's SAME padding.
//!
//! y[n, oy, ox, c] = sum over ky, kx of x[n, oy*s + ky - pad, ox*s + kx - pad, c] * w[ky*k + kx, c]
//! (EfficientNet, arXiv 1905.11946, the second stage of MBConv). Weights are `[kernel*kernel, c]`,
//! so that a tap's channels are contiguous. Memory: the output only; the backward needs the input.

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, AutodiffBackend, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;
use multiversion::multiversion;
use rayon::prelude::*;

use super::CHUNKS;
use super::lanes::{LANES, add_assign, block};
use super::storage::{from_vec, to_dims, with_slice};
use pupil_core::shape::same_padding;

/// Geometry of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    n: usize,
    input: (usize, usize),
    output: (usize, usize),
    c: usize,
    kernel: usize,
    stride: usize,
    pad: (usize, usize),
}

impl Geometry {
    /// SAME padding on a `[n, h, w, c]` input.
    fn same(dims: [usize; 4], kernel: usize, stride: usize) -> Self {
        let [n, h, w, c] = dims;
        Self {
            n,
            input: (h, w),
            output: (h.div_ceil(stride), w.div_ceil(stride)),
            c,
            kernel,
            stride,
            pad: (
                same_padding(h, kernel, stride).0,
                same_padding(w, kernel, stride).0,
            ),
        }
    }

    fn input_len(&self) -> usize {
        self.input.0 * self.input.1 * self.c
    }

    fn output_len(&self) -> usize {
        self.output.0 * self.output.1 * self.c
    }

    /// The taps `k` of output position `o` that lie inside an image of `len`, along one axis.
    #[inline(always)]
    fn taps(&self, o: usize, pad: usize, len: usize) -> core::ops::Range<usize> {
        let start = o * self.stride;
        pad.saturating_sub(start)..self.kernel.min(len + pad - start)
    }
}

/// The operator on backend primitives.
#[backend_extension(Autodiff, Flex)]
pub trait DepthwiseBackend: Backend {
    /// `x [n, h, w, c]`, `w [kernel*kernel, c]` to `[n, ceil(h/stride), ceil(w/stride), c]`.
    fn depthwise(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        kernel: usize,
        stride: usize,
    ) -> FloatTensor<Self>;
    /// Gradients of `x` and `w` for the output gradient `dy`.
    fn depthwise_backward(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        kernel: usize,
        stride: usize,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
}

/// Depthwise convolution of `x [n, h, w, c]` with `w [kernel*kernel, c]`, SAME padding.
pub fn depthwise(x: Tensor<4>, w: Tensor<2>, kernel: usize, stride: usize) -> Tensor<4> {
    Tensor::from_dispatch(Dispatch::depthwise(
        x.into_dispatch(),
        w.into_dispatch(),
        kernel,
        stride,
    ))
}

impl DepthwiseBackend for Flex {
    fn depthwise(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        kernel: usize,
        stride: usize,
    ) -> FloatTensor<Self> {
        let g = Geometry::same(to_dims(&x), kernel, stride);
        let mut y = vec![0.0; g.n * g.output_len()];
        with_slice(x, |x| {
            with_slice(w, |w| {
                y.par_chunks_mut(g.output_len())
                    .zip(x.par_chunks(g.input_len()))
                    .with_min_len(g.n.div_ceil(CHUNKS))
                    .for_each(|(y, x)| forward(&g, x, w, y));
            });
        });
        from_vec(y, [g.n, g.output.0, g.output.1, g.c])
    }

    fn depthwise_backward(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        kernel: usize,
        stride: usize,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let g = Geometry::same(to_dims(&x), kernel, stride);
        let taps = kernel * kernel;
        let per = g.n.div_ceil(CHUNKS);
        let mut dx = vec![0.0; g.n * g.input_len()];
        let mut dw = vec![0.0; taps * g.c];
        with_slice(x, |x| {
            with_slice(w, |w| {
                with_slice(dy, |dy| {
                    let parts: Vec<Vec<f32>> = dx
                        .par_chunks_mut(per * g.input_len())
                        .zip(x.par_chunks(per * g.input_len()))
                        .zip(dy.par_chunks(per * g.output_len()))
                        .map(|((dx, x), dy)| {
                            let mut part = vec![0.0; taps * g.c];
                            for ((dx, x), dy) in dx
                                .chunks_mut(g.input_len())
                                .zip(x.chunks(g.input_len()))
                                .zip(dy.chunks(g.output_len()))
                            {
                                backward_weight(&g, x, dy, &mut part);
                                backward_input(&g, dy, w, dx);
                            }
                            part
                        })
                        .collect();
                    for part in &parts {
                        add_assign(&mut dw, part);
                    }
                });
            });
        });
        (
            from_vec(dx, [g.n, g.input.0, g.input.1, g.c]),
            from_vec(dw, [taps, g.c]),
        )
    }
}

/// One sample: every output pixel gathers its taps, eight channels in registers at a time.
#[multiversion(targets("x86_64+avx2+fma", "aarch64+neon"))]
fn forward(g: &Geometry, x: &[f32], w: &[f32], y: &mut [f32]) {
    let c = g.c;
    for oy in 0..g.output.0 {
        let ys = g.taps(oy, g.pad.0, g.input.0);
        for ox in 0..g.output.1 {
            let xs = g.taps(ox, g.pad.1, g.input.1);
            let out = &mut y[(oy * g.output.1 + ox) * c..][..c];
            let mut start = 0;
            while start + LANES <= c {
                let mut acc = [0.0f32; LANES];
                for ky in ys.clone() {
                    let row = (oy * g.stride + ky - g.pad.0) * g.input.1;
                    for kx in xs.clone() {
                        let a = block(x, (row + ox * g.stride + kx - g.pad.1) * c + start);
                        let b = block(w, (ky * g.kernel + kx) * c + start);
                        for i in 0..LANES {
                            acc[i] += a[i] * b[i];
                        }
                    }
                }
                out[start..start + LANES].copy_from_slice(&acc);
                start += LANES;
            }
            for i in start..c {
                let mut acc = 0.0;
                for ky in ys.clone() {
                    let row = (oy * g.stride + ky - g.pad.0) * g.input.1;
                    for kx in xs.clone() {
                        acc += x[(row + ox * g.stride + kx - g.pad.1) * c + i]
                            * w[(ky * g.kernel + kx) * c + i];
                    }
                }
                out[i] = acc;
            }
        }
    }
}

/// One sample: every input pixel gathers the outputs that read it.
#[multiversion(targets("x86_64+avx2+fma", "aarch64+neon"))]
fn backward_input(g: &Geometry, dy: &[f32], w: &[f32], dx: &mut [f32]) {
    let (c, s) = (g.c, g.stride);
    for iy in 0..g.input.0 {
        for ix in 0..g.input.1 {
            let out = &mut dx[(iy * g.input.1 + ix) * c..][..c];
            let mut start = 0;
            while start < c {
                let lanes = LANES.min(c - start);
                let mut acc = [0.0f32; LANES];
                for ky in 0..g.kernel {
                    let py = iy + g.pad.0;
                    if py < ky || !(py - ky).is_multiple_of(s) || (py - ky) / s >= g.output.0 {
                        continue;
                    }
                    let row = (py - ky) / s * g.output.1;
                    for kx in 0..g.kernel {
                        let px = ix + g.pad.1;
                        if px < kx || !(px - kx).is_multiple_of(s) || (px - kx) / s >= g.output.1 {
                            continue;
                        }
                        let at = (row + (px - kx) / s) * c + start;
                        let tap = (ky * g.kernel + kx) * c + start;
                        if lanes == LANES {
                            let (a, b) = (block(dy, at), block(w, tap));
                            for i in 0..LANES {
                                acc[i] += a[i] * b[i];
                            }
                        } else {
                            for i in 0..lanes {
                                acc[i] += dy[at + i] * w[tap + i];
                            }
                        }
                    }
                }
                out[start..start + lanes].copy_from_slice(&acc[..lanes]);
                start += lanes;
            }
        }
    }
}

/// One sample: for a row of taps and eight channels, one sweep over the map with the row's sums
/// in registers.
#[multiversion(targets("x86_64+avx2+fma", "aarch64+neon"))]
fn backward_weight(g: &Geometry, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    const MOST: usize = 7; // taps of a row kept in registers at once
    let (c, s) = (g.c, g.stride);
    for ky in 0..g.kernel {
        for first in (0..g.kernel).step_by(MOST) {
            let width = MOST.min(g.kernel - first);
            let mut start = 0;
            while start < c {
                let lanes = LANES.min(c - start);
                let mut acc = [[0.0f32; LANES]; MOST];
                for oy in 0..g.output.0 {
                    let py = oy * s + ky;
                    if py < g.pad.0 || py - g.pad.0 >= g.input.0 {
                        continue;
                    }
                    let row = (py - g.pad.0) * g.input.1;
                    for ox in 0..g.output.1 {
                        let at = (oy * g.output.1 + ox) * c + start;
                        for (k, acc) in acc.iter_mut().enumerate().take(width) {
                            let px = ox * s + first + k;
                            if px < g.pad.1 || px - g.pad.1 >= g.input.1 {
                                continue;
                            }
                            let from = (row + px - g.pad.1) * c + start;
                            if lanes == LANES {
                                let (d, v) = (block(dy, at), block(x, from));
                                for i in 0..LANES {
                                    acc[i] += d[i] * v[i];
                                }
                            } else {
                                for i in 0..lanes {
                                    acc[i] += dy[at + i] * x[from + i];
                                }
                            }
                        }
                    }
                }
                for (k, acc) in acc.iter().enumerate().take(width) {
                    let tap = (ky * g.kernel + first + k) * c + start;
                    for i in 0..lanes {
                        dw[tap + i] += acc[i];
                    }
                }
                start += lanes;
            }
        }
    }
}

#[derive(Debug)]
struct DepthwiseBackward;

impl<B: DepthwiseBackend> Backward<B, 2> for DepthwiseBackward {
    type State = (NodeId, NodeId, usize, usize);

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let [node_x, node_w] = ops.parents;
        let dy = grads.consume::<B>(&ops.node);
        let (x, w, kernel, stride) = ops.state;
        let x = checkpointer.retrieve_node_output(x);
        let w = checkpointer.retrieve_node_output(w);
        let (dx, dw) = B::depthwise_backward(x, w, dy, kernel, stride);
        if let Some(node) = node_x {
            grads.register::<B>(node.id, dx);
        }
        if let Some(node) = node_w {
            grads.register::<B>(node.id, dw);
        }
    }
}

impl<B: DepthwiseBackend, C: CheckpointStrategy> DepthwiseBackend for Autodiff<B, C> {
    fn depthwise(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        kernel: usize,
        stride: usize,
    ) -> FloatTensor<Self> {
        match DepthwiseBackward
            .prepare::<C>([x.node(), w.node()])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(mut prep) => {
                let state = (prep.checkpoint(&x), prep.checkpoint(&w), kernel, stride);
                let y = B::depthwise(x.into_primitive(), w.into_primitive(), kernel, stride);
                prep.finish(state, y)
            }
            OpsKind::UnTracked(prep) => prep.finish(B::depthwise(
                x.into_primitive(),
                w.into_primitive(),
                kernel,
                stride,
            )),
        }
    }

    /// First order only: the gradients come back as constants.
    fn depthwise_backward(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        kernel: usize,
        stride: usize,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let (dx, dw) = B::depthwise_backward(
            x.into_primitive(),
            w.into_primitive(),
            dy.into_primitive(),
            kernel,
            stride,
        );
        (Self::from_inner(dx), Self::from_inner(dw))
    }
}
