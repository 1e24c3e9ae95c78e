//! The pixels under a convolution kernel as rows (im2col), SAME padding: a convolution over an
//! NHWC map is `patches` times the weights as a matrix.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{
    Autodiff, AutodiffBackend, Backend, Dispatch, Flex, TensorMetadata, backend_extension,
};
use burn::tensor::Tensor;
use pupil_core::shape::same_padding;
use rayon::prelude::*;

use super::CHUNKS;
use super::storage::{from_vec, to_dims, with_slice};

/// The operator on backend primitives.
#[backend_extension(Autodiff, Flex)]
pub trait PatchesBackend: Backend {
    /// `x [n, h, w, c]` to `[n, ceil(h/stride), ceil(w/stride), kernel*kernel*c]`.
    fn patches(x: FloatTensor<Self>, kernel: usize, stride: usize) -> FloatTensor<Self>;
    /// Sums the rows of `dy` back into a gradient `[n, h, w, c]`.
    fn patches_backward(
        dy: FloatTensor<Self>,
        dims: [usize; 4],
        kernel: usize,
        stride: usize,
    ) -> FloatTensor<Self>;
}

/// Rows ordered (ky, kx, c) of the pixels under each position of a `kernel` x `kernel` window;
/// zeros outside the image.
pub fn patches(x: Tensor<4>, kernel: usize, stride: usize) -> Tensor<4> {
    Tensor::from_dispatch(Dispatch::patches(x.into_dispatch(), kernel, stride))
}

/// Calls `f(row offset in the patches, pixel offset in the image)` for each tap of one sample
/// that lies inside the image, in order.
fn for_taps([h, w, c]: [usize; 3], kernel: usize, stride: usize, mut f: impl FnMut(usize, usize)) {
    let (oh, ow) = (h.div_ceil(stride), w.div_ceil(stride));
    let (top, left) = (
        same_padding(h, kernel, stride).0,
        same_padding(w, kernel, stride).0,
    );
    for oy in 0..oh {
        for ox in 0..ow {
            let row = (oy * ow + ox) * kernel * kernel * c;
            for ky in 0..kernel {
                let Some(iy) = (oy * stride + ky).checked_sub(top).filter(|y| *y < h) else {
                    continue;
                };
                for kx in 0..kernel {
                    let Some(ix) = (ox * stride + kx).checked_sub(left).filter(|x| *x < w) else {
                        continue;
                    };
                    f(row + (ky * kernel + kx) * c, (iy * w + ix) * c);
                }
            }
        }
    }
}

impl PatchesBackend for Flex {
    fn patches(x: FloatTensor<Self>, kernel: usize, stride: usize) -> FloatTensor<Self> {
        let [n, h, w, c] = to_dims(&x);
        let (oh, ow, row) = (h.div_ceil(stride), w.div_ceil(stride), kernel * kernel * c);
        let mut y = vec![0.0; n * oh * ow * row];
        with_slice(x, |x| {
            y.par_chunks_mut(oh * ow * row)
                .zip(x.par_chunks(h * w * c))
                .with_min_len(n.div_ceil(CHUNKS))
                .for_each(|(y, x)| {
                    for_taps([h, w, c], kernel, stride, |to, from| {
                        y[to..to + c].copy_from_slice(&x[from..from + c]);
                    });
                });
        });
        from_vec(y, [n, oh, ow, row])
    }

    fn patches_backward(
        dy: FloatTensor<Self>,
        dims: [usize; 4],
        kernel: usize,
        stride: usize,
    ) -> FloatTensor<Self> {
        let [n, h, w, c] = dims;
        let sample = h.div_ceil(stride) * w.div_ceil(stride) * kernel * kernel * c;
        let mut dx = vec![0.0; n * h * w * c];
        with_slice(dy, |dy| {
            dx.par_chunks_mut(h * w * c)
                .zip(dy.par_chunks(sample))
                .with_min_len(n.div_ceil(CHUNKS))
                .for_each(|(dx, dy)| {
                    for_taps([h, w, c], kernel, stride, |from, to| {
                        for (d, g) in dx[to..to + c].iter_mut().zip(&dy[from..from + c]) {
                            *d += g;
                        }
                    });
                });
        });
        from_vec(dx, dims)
    }
}

#[derive(Debug)]
struct PatchesBackward;

impl<B: PatchesBackend> Backward<B, 1> for PatchesBackward {
    type State = ([usize; 4], usize, usize);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [node] = ops.parents;
        let dy = grads.consume::<B>(&ops.node);
        let (dims, kernel, stride) = ops.state;
        if let Some(node) = node {
            grads.register::<B>(node.id, B::patches_backward(dy, dims, kernel, stride));
        }
    }
}

impl<B: PatchesBackend, C: CheckpointStrategy> PatchesBackend for Autodiff<B, C> {
    fn patches(x: FloatTensor<Self>, kernel: usize, stride: usize) -> FloatTensor<Self> {
        let dims = x.primitive().shape().dims::<4>();
        match PatchesBackward
            .prepare::<C>([x.node()])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => prep.finish(
                (dims, kernel, stride),
                B::patches(x.into_primitive(), kernel, stride),
            ),
            OpsKind::UnTracked(prep) => prep.finish(B::patches(x.into_primitive(), kernel, stride)),
        }
    }

    /// First order only: the gradient comes back as a constant.
    fn patches_backward(
        dy: FloatTensor<Self>,
        dims: [usize; 4],
        kernel: usize,
        stride: usize,
    ) -> FloatTensor<Self> {
        Self::from_inner(B::patches_backward(
            dy.into_primitive(),
            dims,
            kernel,
            stride,
        ))
    }
}
