//! Mean over height and width of an NHWC map as a node of burn's graph: the squeeze of SENet (arXiv
//! 1709.01507, eq. 2) and the pooling before the classifier.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::Tensor;
use rayon::prelude::*;

use super::choice::is_fused;
use super::stock;
use super::storage::{Host, from_vec};
use crate::nn::kernels::pooling;
use crate::nn::units::part;

/// The operator on backend primitives.
#[backend_extension(Autodiff, Flex)]
pub(crate) trait GlobalPoolBackend: Backend {
    /// `x [n, h, w, c]` to `[n, c]`.
    fn global_pool(x: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// Mean of `x [n, h, w, c]` over h and w.
pub(crate) fn global_pool(x: Tensor<4>) -> Tensor<2> {
    if !is_fused(&x.device()) {
        return stock::global_pool(x);
    }
    Tensor::from_dispatch(Dispatch::global_pool(x.into_dispatch()))
}

impl GlobalPoolBackend for Flex {
    fn global_pool(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let [n, h, w, c] = x.shape().dims();
        let mut y = vec![0.0; n * c];
        Self::with(&x, |x| {
            y.par_chunks_mut(c)
                .zip(x.par_chunks(h * w * c))
                .with_min_len(part(n))
                .for_each(|(y, x)| pooling::mean(x, y));
        });
        from_vec(y, [n, c])
    }
}

#[derive(Debug)]
struct GlobalPoolBackward;

impl<B: GlobalPoolBackend + Host> Backward<B, 1> for GlobalPoolBackward {
    type State = [usize; 4];

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let [n, h, w, c] = ops.state;
        let mut dx = vec![0.0; n * h * w * c];
        B::with(&dy, |dy| {
            dx.par_chunks_mut(h * w * c)
                .zip(dy.par_chunks(c))
                .with_min_len(part(n))
                .for_each(|(dx, dy)| pooling::mean_backward(dy, dx));
        });
        if let [Some(node)] = ops.parents {
            grads.register::<B>(node.id, B::tensor(dx, ops.state.into()));
        }
    }
}

impl<B: GlobalPoolBackend + Host, C: CheckpointStrategy> GlobalPoolBackend for Autodiff<B, C> {
    fn global_pool(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let node = x.node();
        let x = x.into_primitive();
        match GlobalPoolBackward
            .prepare::<C>([node])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => prep.finish(x.shape().dims(), B::global_pool(x)),
            OpsKind::UnTracked(prep) => prep.finish(B::global_pool(x)),
        }
    }
}
