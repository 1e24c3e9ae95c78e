//! Depthwise convolution as one node of burn's graph: each channel has its own kernel, TensorFlow's
//! SAME padding; the arithmetic is in [`crate::nn::units::depthwise`].

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::Tensor;

use super::choice::is_fused;
use super::stock;
use super::storage::{Host, from_vec};
use crate::nn::kernels::depthwise::Window;
use crate::nn::units;

/// The operator on backend primitives.
#[backend_extension(Autodiff, Flex)]
pub(crate) trait DepthwiseBackend: Backend {
    /// `x [n, h, w, c]`, `w [kernel*kernel, c]` to `[n, ceil(h/stride), ceil(w/stride), c]`.
    fn depthwise(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        kernel: usize,
        stride: usize,
    ) -> FloatTensor<Self>;
}

/// Depthwise convolution of `x [n, h, w, c]` with `w [kernel*kernel, c]`, SAME padding.
pub(crate) fn depthwise(x: Tensor<4>, w: Tensor<2>, kernel: usize, stride: usize) -> Tensor<4> {
    if !is_fused(&x.device()) {
        return stock::depthwise(x, w, kernel, stride);
    }
    Tensor::from_dispatch(Dispatch::depthwise(
        x.into_dispatch(),
        w.into_dispatch(),
        kernel,
        stride,
    ))
}

/// Batch and window of a map.
fn window<B: Backend>(x: &FloatTensor<B>, kernel: usize, stride: usize) -> (usize, Window) {
    let [n, h, w, c] = x.shape().dims();
    (n, Window::same((h, w), c, kernel, stride))
}

impl DepthwiseBackend for Flex {
    fn depthwise(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        kernel: usize,
        stride: usize,
    ) -> FloatTensor<Self> {
        let (n, g) = window::<Self>(&x, kernel, stride);
        let y = Self::with(&x, |x| {
            Self::with(&w, |w| units::depthwise::forward(&g, n, x, w))
        });
        from_vec(y, [n, g.output.0, g.output.1, g.c])
    }
}

#[derive(Debug)]
struct DepthwiseBackward;

impl<B: DepthwiseBackend + Host> Backward<B, 2> for DepthwiseBackward {
    type State = (FloatTensor<B>, FloatTensor<B>, usize, usize);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let (x, w, kernel, stride) = ops.state;
        let (n, g) = window::<B>(&x, kernel, stride);
        let w_values = B::values(w.clone());
        let (dx, dw) = B::with(&x, |x| {
            B::with(&dy, |dy| {
                units::depthwise::backward(&g, n, x, &w_values, dy)
            })
        });
        let gradients = [(dx, x.shape()), (dw, w.shape())];
        for (node, (gradient, shape)) in ops.parents.into_iter().zip(gradients) {
            if let Some(node) = node {
                grads.register::<B>(node.id, B::tensor(gradient, shape));
            }
        }
    }
}

impl<B: DepthwiseBackend + Host, C: CheckpointStrategy> DepthwiseBackend for Autodiff<B, C> {
    fn depthwise(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        kernel: usize,
        stride: usize,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), w.node()];
        let (x, w) = (x.into_primitive(), w.into_primitive());
        match DepthwiseBackward
            .prepare::<C>(nodes)
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => {
                let state = (x.clone(), w.clone(), kernel, stride);
                prep.finish(state, B::depthwise(x, w, kernel, stride))
            }
            OpsKind::UnTracked(prep) => prep.finish(B::depthwise(x, w, kernel, stride)),
        }
    }
}
