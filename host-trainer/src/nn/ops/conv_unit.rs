//! Convolution, batch norm, activation and maybe pooling as one node of burn's graph; the
//! arithmetic is in [`crate::nn::units`].

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{DispatchTensor, Tensor};

use super::slot::Slot;
use super::storage::{Host, from_vec};
use crate::nn::units::ConvNorm;
use crate::nn::units::conv::{self, Saved, Shape};

/// The operator on backend primitives.
#[backend_extension(Autodiff, Flex)]
pub(crate) trait ConvUnitBackend: Backend {
    /// `x [n, h, w, in_ch]` to `[n, out h, out w, out_ch]` (1 x 1 with pooling) by the batch's
    /// statistics, which are left in `slot`.
    fn conv_unit(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        shape: Shape,
        slot: Slot<Saved>,
    ) -> FloatTensor<Self>;
}

/// The unit on `x [n, h, w, in_ch]`, which is on the CPU.
pub(crate) fn conv_unit(
    x: Tensor<4>,
    w: ConvNorm<DispatchTensor>,
    shape: Shape,
    slot: &Slot<Saved>,
) -> Tensor<4> {
    Tensor::from_dispatch(Dispatch::conv_unit(
        x.into_dispatch(),
        w.weight,
        w.gamma,
        w.beta,
        shape,
        slot.clone(),
    ))
}

impl ConvUnitBackend for Flex {
    fn conv_unit(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        shape: Shape,
        slot: Slot<Saved>,
    ) -> FloatTensor<Self> {
        let [weight, gamma, beta] = [weight, gamma, beta].map(<Self as Host>::values);
        let w = ConvNorm {
            weight: &weight[..],
            gamma: &gamma,
            beta: &beta,
        };
        let (y, saved) = Self::with(&x, |x| conv::forward(&shape, x, &w));
        slot.fill(saved);
        let (h, width) = if shape.pool {
            (1, 1)
        } else {
            shape.window.output
        };
        from_vec(y, [shape.n, h, width, shape.out_ch])
    }
}

#[derive(Debug)]
struct ConvUnitBackward;

#[derive(Clone, Debug)]
struct State<B: Backend> {
    x: FloatTensor<B>,
    weights: [FloatTensor<B>; 3],
    shape: Arc<Shape>,
    slot: Slot<Saved>,
}

impl<B: ConvUnitBackend + Host> Backward<B, 4> for ConvUnitBackward {
    type State = State<B>;

    fn backward(self, ops: Ops<Self::State, 4>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let State {
            x,
            weights,
            shape,
            slot,
        } = ops.state;
        let Some(saved) = slot.get() else { return };
        let shapes = weights.each_ref().map(TensorMetadata::shape);
        let [weight, gamma, beta] = weights.map(B::values);
        let w = ConvNorm {
            weight: &weight[..],
            gamma: &gamma,
            beta: &beta,
        };
        let [node, nodes @ ..] = ops.parents;
        let (dx, dw) = B::with(&x, |x| {
            B::with(&dy, |dy| {
                conv::backward(&shape, x, &w, saved, dy, node.is_some())
            })
        });
        if let (Some(node), Some(dx)) = (node, dx) {
            grads.register::<B>(node.id, B::tensor(dx, x.shape()));
        }
        let gradients = [dw.weight, dw.gamma, dw.beta];
        for ((node, dw), shape) in nodes.into_iter().zip(gradients).zip(shapes) {
            if let Some(node) = node {
                grads.register::<B>(node.id, B::tensor(dw, shape));
            }
        }
    }
}

impl<B: ConvUnitBackend + Host, C: CheckpointStrategy> ConvUnitBackend for Autodiff<B, C> {
    fn conv_unit(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        shape: Shape,
        slot: Slot<Saved>,
    ) -> FloatTensor<Self> {
        let all = [x, weight, gamma, beta];
        let nodes = all.each_ref().map(|t| t.node());
        let [x, weight, gamma, beta] = all.map(|t| t.into_primitive());
        match ConvUnitBackward
            .prepare::<C>(nodes)
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => {
                let state = State {
                    x: x.clone(),
                    weights: [weight.clone(), gamma.clone(), beta.clone()],
                    shape: Arc::new(shape.clone()),
                    slot: slot.clone(),
                };
                prep.finish(state, B::conv_unit(x, weight, gamma, beta, shape, slot))
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(B::conv_unit(x, weight, gamma, beta, shape, slot))
            }
        }
    }
}
