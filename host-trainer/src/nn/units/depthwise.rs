//! Depthwise convolution of a whole batch, where no block is fused around it.

use rayon::prelude::*;

use super::{part, sum};
use crate::nn::kernels::buffers::Buffer;
use crate::nn::kernels::depthwise::{self, Window};

/// Output `[n, out h, out w, c]` of `x [n, h, w, c]` with `w [kernel*kernel, c]`.
pub(crate) fn forward(window: &Window, n: usize, x: &[f32], w: &[f32]) -> Vec<f32> {
    let (input, output) = (window.input_len(), window.output_len());
    let per = part(n);
    let mut y = vec![0.0; n * output];
    y.par_chunks_mut(per * output)
        .zip(x.par_chunks(per * input))
        .for_each(|(y, x)| {
            let mut padded = Buffer::zeros(window.padded_len());
            for (y, x) in y.chunks_exact_mut(output).zip(x.chunks_exact(input)) {
                window.padded_runs().copy_in(x, &mut padded);
                depthwise::forward(window, &padded, w, y);
            }
        });
    y
}

/// Gradients of x and w for the output gradient `dy`.
pub(crate) fn backward(
    window: &Window,
    n: usize,
    x: &[f32],
    w: &[f32],
    dy: &[f32],
) -> (Vec<f32>, Vec<f32>) {
    let (input, output) = (window.input_len(), window.output_len());
    let per = part(n);
    let turned = depthwise::turned(w, window.c);
    let mut dx = vec![0.0; n * input];
    let parts: Vec<Vec<f32>> = dx
        .par_chunks_mut(per * input)
        .zip(x.par_chunks(per * input))
        .zip(dy.par_chunks(per * output))
        .map(|((dx, x), dy)| {
            let mut dw = vec![0.0; w.len()];
            let mut padded = Buffer::zeros(window.padded_len());
            let mut around = Buffer::zeros(window.surrounded_len());
            for ((dx, x), dy) in dx
                .chunks_exact_mut(input)
                .zip(x.chunks_exact(input))
                .zip(dy.chunks_exact(output))
            {
                window.padded_runs().copy_in(x, &mut padded);
                window.surrounded_runs().copy_in(dy, &mut around);
                depthwise::weight_gradient(window, &padded, &around, &mut dw);
                depthwise::input_gradient(window, &around, &turned, dx);
            }
            dw
        })
        .collect();
    (dx, sum(parts.iter()))
}
