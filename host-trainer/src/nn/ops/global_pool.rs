//! Mean over height and width of an NHWC map: the squeeze of SENet (arXiv 1709.01507, eq. 2)
//! and the pooling before the classifier.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{
    Autodiff, AutodiffBackend, Backend, Dispatch, Flex, TensorMetadata, backend_extension,
};
use burn::tensor::Tensor;
use multiversion::multiversion;
use rayon::prelude::*;

use super::CHUNKS;
use super::storage::{from_vec, to_dims, with_slice};

/// The operator on backend primitives.
#[backend_extension(Autodiff, Flex)]
pub trait GlobalPoolBackend: Backend {
    /// `x [n, h, w, c]` to `[n, c]`.
    fn global_pool(x: FloatTensor<Self>) -> FloatTensor<Self>;
    /// `dy [n, c]` to `[n, h, w, c]`.
    fn global_pool_backward(dy: FloatTensor<Self>, h: usize, w: usize) -> FloatTensor<Self>;
}

/// Mean of `x [n, h, w, c]` over h and w.
pub fn global_pool(x: Tensor<4>) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::global_pool(x.into_dispatch()))
}

impl GlobalPoolBackend for Flex {
    fn global_pool(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let [n, h, w, c] = to_dims(&x);
        let mut y = vec![0.0; n * c];
        with_slice(x, |x| {
            y.par_chunks_mut(c)
                .zip(x.par_chunks(h * w * c))
                .with_min_len(n.div_ceil(CHUNKS))
                .for_each(|(y, x)| mean_rows(x, y));
        });
        from_vec(y, [n, c])
    }

    fn global_pool_backward(dy: FloatTensor<Self>, h: usize, w: usize) -> FloatTensor<Self> {
        let [n, c] = to_dims(&dy);
        let scale = 1.0 / (h * w) as f32;
        let mut dx = vec![0.0; n * h * w * c];
        with_slice(dy, |dy| {
            dx.par_chunks_mut(h * w * c)
                .zip(dy.par_chunks(c))
                .with_min_len(n.div_ceil(CHUNKS))
                .for_each(|(dx, dy)| {
                    for row in dx.chunks_exact_mut(c) {
                        for (d, g) in row.iter_mut().zip(dy) {
                            *d = g * scale;
                        }
                    }
                });
        });
        from_vec(dx, [n, h, w, c])
    }
}

#[multiversion(targets("x86_64+avx2+fma", "aarch64+neon"))]
fn mean_rows(x: &[f32], y: &mut [f32]) {
    let c = y.len();
    for row in x.chunks_exact(c) {
        for (sum, v) in y.iter_mut().zip(row) {
            *sum += v;
        }
    }
    let scale = 1.0 / (x.len() / c) as f32;
    for v in y {
        *v *= scale;
    }
}

#[derive(Debug)]
struct GlobalPoolBackward;

impl<B: GlobalPoolBackend> Backward<B, 1> for GlobalPoolBackward {
    type State = (usize, usize);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [node] = ops.parents;
        let dy = grads.consume::<B>(&ops.node);
        let (h, w) = ops.state;
        if let Some(node) = node {
            grads.register::<B>(node.id, B::global_pool_backward(dy, h, w));
        }
    }
}

impl<B: GlobalPoolBackend, C: CheckpointStrategy> GlobalPoolBackend for Autodiff<B, C> {
    fn global_pool(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let shape = x.primitive().shape();
        let [_, h, w, _] = shape.dims::<4>();
        match GlobalPoolBackward
            .prepare::<C>([x.node()])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => prep.finish((h, w), B::global_pool(x.into_primitive())),
            OpsKind::UnTracked(prep) => prep.finish(B::global_pool(x.into_primitive())),
        }
    }

    /// First order only: the gradient comes back as a constant.
    fn global_pool_backward(dy: FloatTensor<Self>, h: usize, w: usize) -> FloatTensor<Self> {
        Self::from_inner(B::global_pool_backward(dy.into_primitive(), h, w))
    }
}
