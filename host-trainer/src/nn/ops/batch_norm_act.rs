//! Batch normalization (arXiv 1502.03167) and the non-linearity behind it, one pass each way
//! over the map after the pass that gathers the statistics.
//!
//! z = x a + b with a = γ / √(σ² + ε), b = β − μ a; y = act(z). ε = 1e-3 as in EfficientNet.
//! Backward: g = dy act'(z); dγ = Σ g x̂, dβ = Σ g,
//! dx = a (g − dβ/m − x̂ dγ/m) with x̂ = (x − μ)/√(σ² + ε) over the m = n h w rows.
//! σ² is the biased variance, in the batch and in the running average. Memory: the output; the
//! backward keeps the input and 4 c numbers, not z.

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
use super::storage::{from_vec, to_dims, with_slice};
use crate::nn::activation::{Activation, Function, with_function};

/// ε of EfficientNet's batch norm.
pub const EPSILON: f64 = 1e-3;

/// The operator on backend primitives.
#[backend_extension(Autodiff, Flex)]
pub trait BatchNormActBackend: Backend {
    /// `x [n, h, w, c]` to the output and the coefficients `[4 c]`: a, b, mean, 1/√(var + ε).
    fn batch_norm_act(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        act: Activation,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
    /// Gradients of x, γ and β for the output gradient `dy`.
    fn batch_norm_act_backward(
        x: FloatTensor<Self>,
        coefficients: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        act: Activation,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
    /// act(x a + b), channel by channel; no gradient: for evaluation.
    fn scale_shift_act(
        x: FloatTensor<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        act: Activation,
    ) -> FloatTensor<Self>;
}

/// Normalizes `x [n, h, w, c]` with its own statistics, then scales, shifts and activates.
///
/// Returns the output, the batch mean `[c]` and the biased batch variance `[c]` (both without
/// gradient, for the running averages).
pub fn batch_norm_act(
    x: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    act: Activation,
) -> (Tensor<4>, Tensor<1>, Tensor<1>) {
    let c = x.dims()[3];
    let (y, coefficients) = Dispatch::batch_norm_act(
        x.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
        act,
    );
    let coefficients: Tensor<1> = Tensor::from_dispatch(coefficients);
    let coefficients = coefficients.inner();
    let mean = coefficients.clone().narrow(0, 2 * c, c);
    let inverse = coefficients.narrow(0, 3 * c, c);
    let variance = (inverse.powi_scalar(-2) - EPSILON).clamp_min(0.0);
    (Tensor::from_dispatch(y), mean, variance)
}

/// act(x a + b) for `x [n, h, w, c]` and `a, b [c]`; carries no gradient.
pub fn scale_shift_act(x: Tensor<4>, a: Tensor<1>, b: Tensor<1>, act: Activation) -> Tensor<4> {
    Tensor::from_dispatch(Dispatch::scale_shift_act(
        x.into_dispatch(),
        a.into_dispatch(),
        b.into_dispatch(),
        act,
    ))
}

/// Floats of one parallel piece: whole rows of `c`.
fn piece(len: usize, c: usize) -> usize {
    (len / c).div_ceil(CHUNKS).max(1) * c
}

/// Per-channel sums of the pieces, added in order in f64.
fn total(parts: &[(Vec<f32>, Vec<f32>)], c: usize) -> (Vec<f64>, Vec<f64>) {
    let (mut first, mut second) = (vec![0.0; c], vec![0.0; c]);
    for (a, b) in parts {
        for i in 0..c {
            first[i] += f64::from(a[i]);
            second[i] += f64::from(b[i]);
        }
    }
    (first, second)
}

impl BatchNormActBackend for Flex {
    fn batch_norm_act(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        act: Activation,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let dims: [usize; 4] = to_dims(&x);
        let c = dims[3];
        let mut y = vec![0.0; dims.iter().product()];
        let mut coefficients = vec![0.0f32; 4 * c];
        with_slice(x, |x| {
            let m = (x.len() / c) as f64;
            let step = piece(x.len(), c);
            // Squares are gathered around a first row, so that a large mean costs no digits.
            let shift = &x[..c];
            let parts: Vec<_> = x.par_chunks(step).map(|x| moments(x, shift)).collect();
            let (sum, squares) = total(&parts, c);
            with_slice(gamma, |gamma| {
                with_slice(beta, |beta| {
                    for i in 0..c {
                        let off = sum[i] / m;
                        let variance = (squares[i] / m - off * off).max(0.0);
                        let mean = off + f64::from(shift[i]);
                        let inverse = 1.0 / (variance + EPSILON).sqrt();
                        let a = f64::from(gamma[i]) * inverse;
                        coefficients[i] = a as f32;
                        coefficients[c + i] = (f64::from(beta[i]) - mean * a) as f32;
                        coefficients[2 * c + i] = mean as f32;
                        coefficients[3 * c + i] = inverse as f32;
                    }
                });
            });
            let (a, b) = coefficients[..2 * c].split_at(c);
            y.par_chunks_mut(step)
                .zip(x.par_chunks(step))
                .for_each(|(y, x)| with_function!(act, F => apply::<F>(x, a, b, y)));
        });
        (from_vec(y, dims), from_vec(coefficients, [4 * c]))
    }

    fn batch_norm_act_backward(
        x: FloatTensor<Self>,
        coefficients: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        act: Activation,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let dims: [usize; 4] = to_dims(&x);
        let c = dims[3];
        let mut dx = vec![0.0f32; dims.iter().product()];
        let (mut dgamma, mut dbeta) = (vec![0.0f32; c], vec![0.0f32; c]);
        with_slice(x, |x| {
            with_slice(coefficients, |k| {
                with_slice(dy, |dy| {
                    let step = piece(x.len(), c);
                    let m = (x.len() / c) as f64;
                    let parts: Vec<_> = dx
                        .par_chunks_mut(step)
                        .zip(x.par_chunks(step))
                        .zip(dy.par_chunks(step))
                        .map(|((g, x), dy)| with_function!(act, F => through_act::<F>(x, dy, k, g)))
                        .collect();
                    let (sum_g, sum_gx) = total(&parts, c);
                    let mut mix = vec![0.0f32; 3 * c];
                    for i in 0..c {
                        let (a, mean, inverse) = (
                            f64::from(k[i]),
                            f64::from(k[2 * c + i]),
                            f64::from(k[3 * c + i]),
                        );
                        // sum_gx was gathered against x − mean.
                        let g_xhat = sum_gx[i] * inverse;
                        dgamma[i] = g_xhat as f32;
                        dbeta[i] = sum_g[i] as f32;
                        let slope = -a * inverse * g_xhat / m;
                        mix[i] = a as f32;
                        mix[c + i] = slope as f32;
                        mix[2 * c + i] = (-a * sum_g[i] / m - slope * mean) as f32;
                    }
                    dx.par_chunks_mut(step)
                        .zip(x.par_chunks(step))
                        .for_each(|(g, x)| blend(x, &mix, g));
                });
            });
        });
        (
            from_vec(dx, dims),
            from_vec(dgamma, [c]),
            from_vec(dbeta, [c]),
        )
    }

    fn scale_shift_act(
        x: FloatTensor<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        act: Activation,
    ) -> FloatTensor<Self> {
        let dims: [usize; 4] = to_dims(&x);
        let mut y = vec![0.0; dims.iter().product()];
        with_slice(x, |x| {
            with_slice(a, |a| {
                with_slice(b, |b| {
                    let step = piece(x.len(), dims[3]);
                    y.par_chunks_mut(step)
                        .zip(x.par_chunks(step))
                        .for_each(|(y, x)| with_function!(act, F => apply::<F>(x, a, b, y)));
                });
            });
        });
        from_vec(y, dims)
    }
}

/// Per-channel sum of x − shift and of its square over the rows of one piece.
#[multiversion(targets("x86_64+avx2+fma", "aarch64+neon"))]
fn moments(x: &[f32], shift: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let c = shift.len();
    let (mut sum, mut squares) = (vec![0.0f32; c], vec![0.0f32; c]);
    for row in x.chunks_exact(c) {
        for (((s, q), v), k) in sum.iter_mut().zip(squares.iter_mut()).zip(row).zip(shift) {
            let d = v - k;
            *s += d;
            *q += d * d;
        }
    }
    (sum, squares)
}

#[multiversion(targets("x86_64+avx2+fma", "aarch64+neon"))]
fn apply<F: Function>(x: &[f32], a: &[f32], b: &[f32], y: &mut [f32]) {
    let c = a.len();
    for (y, x) in y.chunks_exact_mut(c).zip(x.chunks_exact(c)) {
        for (((y, x), a), b) in y.iter_mut().zip(x).zip(a).zip(b) {
            *y = F::value(x * a + b);
        }
    }
}

/// g = dy act'(z), with its per-channel sums of g and of g (x − mean).
#[multiversion(targets("x86_64+avx2+fma", "aarch64+neon"))]
fn through_act<F: Function>(
    x: &[f32],
    dy: &[f32],
    k: &[f32],
    g: &mut [f32],
) -> (Vec<f32>, Vec<f32>) {
    let c = k.len() / 4;
    let (a, b, mean) = (&k[..c], &k[c..2 * c], &k[2 * c..3 * c]);
    let (mut sum, mut sum_x) = (vec![0.0f32; c], vec![0.0f32; c]);
    for ((g, x), dy) in g
        .chunks_exact_mut(c)
        .zip(x.chunks_exact(c))
        .zip(dy.chunks_exact(c))
    {
        let (sum, sum_x) = (&mut sum[..c], &mut sum_x[..c]);
        for i in 0..c {
            let d = dy[i] * F::slope(x[i] * a[i] + b[i]);
            g[i] = d;
            sum[i] += d;
            sum_x[i] += d * (x[i] - mean[i]);
        }
    }
    (sum, sum_x)
}

/// dx = mix0 g + mix1 x + mix2, in place on g.
#[multiversion(targets("x86_64+avx2+fma", "aarch64+neon"))]
fn blend(x: &[f32], mix: &[f32], g: &mut [f32]) {
    let c = mix.len() / 3;
    let (k0, k1, k2) = (&mix[..c], &mix[c..2 * c], &mix[2 * c..]);
    for (g, x) in g.chunks_exact_mut(c).zip(x.chunks_exact(c)) {
        for i in 0..c {
            g[i] = k0[i] * g[i] + (k1[i] * x[i] + k2[i]);
        }
    }
}

#[derive(Debug)]
struct BatchNormActBackward;

impl<B: BatchNormActBackend> Backward<B, 3> for BatchNormActBackward {
    type State = (NodeId, FloatTensor<B>, Activation);

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let [node_x, node_gamma, node_beta] = ops.parents;
        let dy = grads.consume::<B>(&ops.node);
        let (x, coefficients, act) = ops.state;
        let x = checkpointer.retrieve_node_output(x);
        let (dx, dgamma, dbeta) = B::batch_norm_act_backward(x, coefficients, dy, act);
        for (node, gradient) in [(node_x, dx), (node_gamma, dgamma), (node_beta, dbeta)] {
            if let Some(node) = node {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}

impl<B: BatchNormActBackend, C: CheckpointStrategy> BatchNormActBackend for Autodiff<B, C> {
    fn batch_norm_act(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        act: Activation,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let nodes = [x.node(), gamma.node(), beta.node()];
        match BatchNormActBackward
            .prepare::<C>(nodes)
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(mut prep) => {
                let input = prep.checkpoint(&x);
                let (y, k) = B::batch_norm_act(
                    x.into_primitive(),
                    gamma.into_primitive(),
                    beta.into_primitive(),
                    act,
                );
                (prep.finish((input, k.clone(), act), y), Self::from_inner(k))
            }
            OpsKind::UnTracked(prep) => {
                let (y, k) = B::batch_norm_act(
                    x.into_primitive(),
                    gamma.into_primitive(),
                    beta.into_primitive(),
                    act,
                );
                (prep.finish(y), Self::from_inner(k))
            }
        }
    }

    /// First order only: the gradients come back as constants.
    fn batch_norm_act_backward(
        x: FloatTensor<Self>,
        coefficients: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        act: Activation,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let (dx, dgamma, dbeta) = B::batch_norm_act_backward(
            x.into_primitive(),
            coefficients.into_primitive(),
            dy.into_primitive(),
            act,
        );
        (
            Self::from_inner(dx),
            Self::from_inner(dgamma),
            Self::from_inner(dbeta),
        )
    }

    fn scale_shift_act(
        x: FloatTensor<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        act: Activation,
    ) -> FloatTensor<Self> {
        Self::from_inner(B::scale_shift_act(
            x.into_primitive(),
            a.into_primitive(),
            b.into_primitive(),
            act,
        ))
    }
}
