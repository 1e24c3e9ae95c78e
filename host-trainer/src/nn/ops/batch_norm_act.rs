//! Batch normalization (arXiv 1502.03167) and the non-linearity behind it as one node of burn's
//! graph; the arithmetic is in [`crate::nn::units::norm`].
//!
//! Memory: the output; the backward pass keeps the input and 4 numbers a channel.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{
    Autodiff, AutodiffBackend, Backend, Dispatch, Flex, TensorMetadata, backend_extension,
};
use burn::tensor::Tensor;

use super::choice::is_fused;
use super::slot::Slot;
use super::stock;
use super::storage::Host;
use crate::nn::activation::Activation;
use crate::nn::kernels::normalize::Forward;
use crate::nn::units::norm;

/// The operator on backend primitives.
#[backend_extension(Autodiff, Flex)]
pub(crate) trait BatchNormActBackend: Backend {
    /// `x [n, h, w, c]` by its own statistics, which are left in `slot`.
    fn batch_norm_act(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        act: Activation,
        slot: Slot<Forward>,
    ) -> FloatTensor<Self>;
    /// act(x a + b), channel by channel; no gradient: for evaluation.
    fn scale_shift_act(
        x: FloatTensor<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        act: Activation,
    ) -> FloatTensor<Self>;
}

/// Normalizes `x [n, h, w, c]` with its own statistics, then scales, shifts and activates. The
/// batch's mean and biased variance are left in `slot`, for the running averages. For tensors on the
/// CPU; elsewhere [`stock::batch_norm_act`].
pub(crate) fn batch_norm_act(
    x: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    act: Activation,
    slot: &Slot<Forward>,
) -> Tensor<4> {
    Tensor::from_dispatch(Dispatch::batch_norm_act(
        x.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
        act,
        slot.clone(),
    ))
}

/// act(x a + b) for `x [n, h, w, c]` and `a, b [c]`; carries no gradient.
pub(crate) fn scale_shift_act(
    x: Tensor<4>,
    a: Tensor<1>,
    b: Tensor<1>,
    act: Activation,
) -> Tensor<4> {
    if !is_fused(&x.device()) {
        return stock::scale_shift_act(x, a, b, act);
    }
    Tensor::from_dispatch(Dispatch::scale_shift_act(
        x.into_dispatch(),
        a.into_dispatch(),
        b.into_dispatch(),
        act,
    ))
}

impl BatchNormActBackend for Flex {
    fn batch_norm_act(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        act: Activation,
        slot: Slot<Forward>,
    ) -> FloatTensor<Self> {
        let [gamma, beta] = [gamma, beta].map(<Self as Host>::values);
        let (y, forward) = Self::with(&x, |x| norm::forward(x, &gamma, &beta, act));
        slot.fill(forward);
        Self::tensor(y, x.shape())
    }

    fn scale_shift_act(
        x: FloatTensor<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        act: Activation,
    ) -> FloatTensor<Self> {
        let [a, b] = [a, b].map(<Self as Host>::values);
        let y = Self::with(&x, |x| norm::apply_all(x, &a, &b, act));
        Self::tensor(y, x.shape())
    }
}

#[derive(Debug)]
struct BatchNormActBackward;

impl<B: BatchNormActBackend + Host> Backward<B, 3> for BatchNormActBackward {
    type State = (FloatTensor<B>, Activation, Slot<Forward>);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let (x, act, slot) = ops.state;
        let Some(forward) = slot.get() else { return };
        let (dx, k) = B::with(&x, |x| {
            B::with(&dy, |dy| norm::backward(x, forward, act, dy))
        });
        let c = k.gamma.len();
        let gradients = [(dx, x.shape()), (k.gamma, [c].into()), (k.beta, [c].into())];
        for (node, (gradient, shape)) in ops.parents.into_iter().zip(gradients) {
            if let Some(node) = node {
                grads.register::<B>(node.id, B::tensor(gradient, shape));
            }
        }
    }
}

impl<B: BatchNormActBackend + Host, C: CheckpointStrategy> BatchNormActBackend for Autodiff<B, C> {
    fn batch_norm_act(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        act: Activation,
        slot: Slot<Forward>,
    ) -> FloatTensor<Self> {
        let all = [x, gamma, beta];
        let nodes = all.each_ref().map(|t| t.node());
        let [x, gamma, beta] = all.map(|t| t.into_primitive());
        match BatchNormActBackward
            .prepare::<C>(nodes)
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => {
                let state = (x.clone(), act, slot.clone());
                prep.finish(state, B::batch_norm_act(x, gamma, beta, act, slot))
            }
            OpsKind::UnTracked(prep) => prep.finish(B::batch_norm_act(x, gamma, beta, act, slot)),
        }
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
