//! Batch norm and activation of a whole batch of rows, where no convolution is fused with them.

use rayon::prelude::*;

use super::{GROUP_PIXELS, part, total};
use crate::nn::activation::Activation;
use crate::nn::kernels::function::with_function;
use crate::nn::kernels::normalize::{
    Backward, Forward, Runs, Sums, apply, blend, moments, through,
};

/// Output of `x [rows, c]` by its own statistics, and the normalization.
pub(crate) fn forward(
    x: &[f32],
    gamma: &[f32],
    beta: &[f32],
    act: Activation,
) -> (Vec<f32>, Forward) {
    let c = gamma.len();
    let per = part(x.len() / c) * c;
    let shift = &x[..c];
    let parts = x
        .par_chunks(per)
        .map(|x| {
            let mut sums = Sums::new(c);
            for x in x.chunks(GROUP_PIXELS * c) {
                moments(x, shift, &mut sums);
            }
            sums
        })
        .collect();
    let norm = Forward::of_batch(&total(parts, c), shift, gamma, beta);
    (apply_all(x, &norm.a, &norm.b, act), norm)
}

/// act(x a + b) of `x [rows, c]`.
pub(crate) fn apply_all(x: &[f32], a: &[f32], b: &[f32], act: Activation) -> Vec<f32> {
    let c = a.len();
    let per = part(x.len() / c) * c;
    let mut y = vec![0.0; x.len()];
    y.par_chunks_mut(per)
        .zip(x.par_chunks(per))
        .for_each(|(y, x)| {
            with_function!(act, F => apply::<F>(x, a, b, y, Runs::whole(x.len())));
        });
    y
}

/// Gradient of x, and the gradients of γ and β, for the output gradient `dy [rows, c]`.
pub(crate) fn backward(
    x: &[f32],
    norm: &Forward,
    act: Activation,
    dy: &[f32],
) -> (Vec<f32>, Backward) {
    let c = norm.a.len();
    let per = part(x.len() / c) * c;
    let mut g = dy.to_vec();
    let parts = g
        .par_chunks_mut(per)
        .zip(x.par_chunks(per))
        .map(|(g, x)| {
            let mut sums = Sums::new(c);
            for (g, x) in g
                .chunks_mut(GROUP_PIXELS * c)
                .zip(x.chunks(GROUP_PIXELS * c))
            {
                with_function!(act, F => through::<F>(g, x, norm, &mut sums));
            }
            sums
        })
        .collect();
    let k = Backward::new(norm, &total(parts, c));
    let mut dx = vec![0.0; x.len()];
    dx.par_chunks_mut(per)
        .zip(g.par_chunks(per))
        .zip(x.par_chunks(per))
        .for_each(|((dx, g), x)| blend(g, x, &k, dx, Runs::whole(x.len())));
    (dx, k)
}
