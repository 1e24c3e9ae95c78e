//! The scale of squeeze-and-excitation (SENet, arXiv 1709.01507, eq. 4) as a node of burn's graph:
//! each channel of a map times one number, x̃[n, y, x, c] = x[n, y, x, c] * s[n, c]. It multiplies;
//! it does not add.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::Tensor;
use rayon::prelude::*;

use super::choice::is_fused;
use super::stock;
use super::storage::Host;
use crate::nn::kernels::pooling;
use crate::nn::units::part;

/// The operator on backend primitives.
#[backend_extension(Autodiff, Flex)]
pub(crate) trait GateBackend: Backend {
    /// `x [n, h, w, c]` times `s [n, c]`.
    fn gate(x: FloatTensor<Self>, s: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// `x [n, h, w, c]`, each channel scaled by `s [n, c]`.
pub(crate) fn gate(x: Tensor<4>, s: Tensor<2>) -> Tensor<4> {
    if !is_fused(&x.device()) {
        return stock::gate(x, s);
    }
    Tensor::from_dispatch(Dispatch::gate(x.into_dispatch(), s.into_dispatch()))
}

impl GateBackend for Flex {
    fn gate(x: FloatTensor<Self>, s: FloatTensor<Self>) -> FloatTensor<Self> {
        let [n, h, w, c] = x.shape().dims();
        let shape = x.shape();
        let mut y = Self::values(x);
        Self::with(&s, |s| {
            y.par_chunks_mut(h * w * c)
                .zip(s.par_chunks(c))
                .with_min_len(part(n))
                .for_each(|(y, s)| pooling::scale(y, s));
        });
        Self::tensor(y, shape)
    }
}

#[derive(Debug)]
struct GateBackward;

impl<B: GateBackend + Host> Backward<B, 2> for GateBackward {
    type State = (FloatTensor<B>, FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let (x, s) = ops.state;
        let [n, h, w, c] = x.shape().dims();
        let shapes = [x.shape(), s.shape()];
        let (mut dx, mut x) = (B::values(dy), B::values(x));
        let mut ds = vec![0.0; n * c];
        B::with(&s, |s| {
            dx.par_chunks_mut(h * w * c)
                .zip(x.par_chunks_mut(h * w * c))
                .zip(s.par_chunks(c))
                .zip(ds.par_chunks_mut(c))
                .with_min_len(part(n))
                .for_each(|(((dx, x), s), ds)| pooling::scale_backward(dx, x, s, ds));
        });
        for ((node, gradient), shape) in ops.parents.into_iter().zip([dx, ds]).zip(shapes) {
            if let Some(node) = node {
                grads.register::<B>(node.id, B::tensor(gradient, shape));
            }
        }
    }
}

impl<B: GateBackend + Host, C: CheckpointStrategy> GateBackend for Autodiff<B, C> {
    fn gate(x: FloatTensor<Self>, s: FloatTensor<Self>) -> FloatTensor<Self> {
        let nodes = [x.node(), s.node()];
        let (x, s) = (x.into_primitive(), s.into_primitive());
        match GateBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((x.clone(), s.clone()), B::gate(x, s)),
            OpsKind::UnTracked(prep) => prep.finish(B::gate(x, s)),
        }
    }
}
