//! The pixels under a convolution kernel as rows (im2col), SAME padding, as a node of burn's graph: a
//! convolution over an NHWC map is `patches` times the weights as a matrix.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::Tensor;
use rayon::prelude::*;

use super::storage::{Host, from_vec};
use crate::nn::kernels::buffers::Buffer;
use crate::nn::kernels::depthwise::Window;
use crate::nn::kernels::patches::{gather, scatter};
use crate::nn::units::part;

/// The operator on backend primitives.
#[backend_extension(Autodiff, Flex)]
pub(crate) trait PatchesBackend: Backend {
    /// `x [n, h, w, c]` to `[n, ceil(h/stride), ceil(w/stride), kernel*kernel*c]`.
    fn patches(x: FloatTensor<Self>, kernel: usize, stride: usize) -> FloatTensor<Self>;
}

/// Rows ordered (ky, kx, c) of the pixels under each position of a `kernel` x `kernel` window;
/// zeros outside the image. For tensors on the CPU.
pub(crate) fn patches(x: Tensor<4>, kernel: usize, stride: usize) -> Tensor<4> {
    Tensor::from_dispatch(Dispatch::patches(x.into_dispatch(), kernel, stride))
}

impl PatchesBackend for Flex {
    fn patches(x: FloatTensor<Self>, kernel: usize, stride: usize) -> FloatTensor<Self> {
        let [n, h, w, c] = x.shape().dims();
        let g = Window::same((h, w), c, kernel, stride);
        let row = kernel * kernel * c;
        let sample = g.output.0 * g.output.1 * row;
        let mut y = vec![0.0; n * sample];
        Self::with(&x, |x| {
            y.par_chunks_mut(part(n) * sample)
                .zip(x.par_chunks(part(n) * g.input_len()))
                .for_each(|(y, x)| {
                    let mut padded = Buffer::zeros(g.padded_len());
                    for (y, x) in y
                        .chunks_exact_mut(sample)
                        .zip(x.chunks_exact(g.input_len()))
                    {
                        gather(&g, x, &mut padded, y);
                    }
                });
        });
        from_vec(y, [n, g.output.0, g.output.1, row])
    }
}

#[derive(Debug)]
struct PatchesBackward;

impl<B: PatchesBackend + Host> Backward<B, 1> for PatchesBackward {
    type State = ([usize; 4], usize, usize);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let ([n, h, w, c], kernel, stride) = ops.state;
        let g = Window::same((h, w), c, kernel, stride);
        let sample = g.output.0 * g.output.1 * kernel * kernel * c;
        let mut dx = vec![0.0; n * g.input_len()];
        B::with(&dy, |dy| {
            dx.par_chunks_mut(part(n) * g.input_len())
                .zip(dy.par_chunks(part(n) * sample))
                .for_each(|(dx, dy)| {
                    let mut padded = Buffer::take(g.padded_len());
                    for (dx, dy) in dx
                        .chunks_exact_mut(g.input_len())
                        .zip(dy.chunks_exact(sample))
                    {
                        scatter(&g, dy, &mut padded, dx);
                    }
                });
        });
        if let [Some(node)] = ops.parents {
            grads.register::<B>(node.id, B::tensor(dx, [n, h, w, c].into()));
        }
    }
}

impl<B: PatchesBackend + Host, C: CheckpointStrategy> PatchesBackend for Autodiff<B, C> {
    fn patches(x: FloatTensor<Self>, kernel: usize, stride: usize) -> FloatTensor<Self> {
        let node = x.node();
        let x = x.into_primitive();
        match PatchesBackward
            .prepare::<C>([node])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => prep.finish(
                (x.shape().dims(), kernel, stride),
                B::patches(x, kernel, stride),
            ),
            OpsKind::UnTracked(prep) => prep.finish(B::patches(x, kernel, stride)),
        }
    }
}
