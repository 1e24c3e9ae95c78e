//! A whole MBConv block as one node of burn's graph; the arithmetic is in [`crate::nn::units`].

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{DispatchTensor, Tensor};

use super::slot::Slot;
use super::storage::{Host, from_vec};
use crate::nn::units::mbconv::{self, PARAMETERS, Parameters, Saved, Shape};

/// The operator on backend primitives; parameters in the order of [`Parameters::into_array`].
#[allow(clippy::too_many_arguments)]
#[backend_extension(Autodiff, Flex)]
pub(crate) trait MbConvBackend: Backend {
    /// `x [n, h, w, in_ch]` to `[n, out h, out w, out_ch]` by the batch's statistics, which are
    /// left in `slot`.
    fn mbconv(
        x: FloatTensor<Self>,
        expand: FloatTensor<Self>,
        expand_gamma: FloatTensor<Self>,
        expand_beta: FloatTensor<Self>,
        depthwise: FloatTensor<Self>,
        depthwise_gamma: FloatTensor<Self>,
        depthwise_beta: FloatTensor<Self>,
        reduce: FloatTensor<Self>,
        reduce_bias: FloatTensor<Self>,
        excite: FloatTensor<Self>,
        excite_bias: FloatTensor<Self>,
        project: FloatTensor<Self>,
        project_gamma: FloatTensor<Self>,
        project_beta: FloatTensor<Self>,
        shape: Shape,
        keep: Vec<f32>,
        slot: Slot<Saved>,
    ) -> FloatTensor<Self>;
}

/// The block on `x [n, h, w, in_ch]`, which is on the CPU; `keep` as in [`mbconv::forward`].
pub(crate) fn mbconv_block(
    x: Tensor<4>,
    parameters: Parameters<DispatchTensor>,
    shape: Shape,
    keep: Vec<f32>,
    slot: &Slot<Saved>,
) -> Tensor<4> {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m] = parameters.into_array();
    Tensor::from_dispatch(Dispatch::mbconv(
        x.into_dispatch(),
        a,
        b,
        c,
        d,
        e,
        f,
        g,
        h,
        i,
        j,
        k,
        l,
        m,
        shape,
        keep,
        slot.clone(),
    ))
}

impl MbConvBackend for Flex {
    fn mbconv(
        x: FloatTensor<Self>,
        expand: FloatTensor<Self>,
        expand_gamma: FloatTensor<Self>,
        expand_beta: FloatTensor<Self>,
        depthwise: FloatTensor<Self>,
        depthwise_gamma: FloatTensor<Self>,
        depthwise_beta: FloatTensor<Self>,
        reduce: FloatTensor<Self>,
        reduce_bias: FloatTensor<Self>,
        excite: FloatTensor<Self>,
        excite_bias: FloatTensor<Self>,
        project: FloatTensor<Self>,
        project_gamma: FloatTensor<Self>,
        project_beta: FloatTensor<Self>,
        shape: Shape,
        keep: Vec<f32>,
        slot: Slot<Saved>,
    ) -> FloatTensor<Self> {
        let weights = [
            expand,
            expand_gamma,
            expand_beta,
            depthwise,
            depthwise_gamma,
            depthwise_beta,
            reduce,
            reduce_bias,
            excite,
            excite_bias,
            project,
            project_gamma,
            project_beta,
        ]
        .map(<Self as Host>::values);
        let w = Parameters::from_array(weights.each_ref().map(Vec::as_slice));
        let (y, saved) = Self::with(&x, |x| mbconv::forward(&shape, x, &w, keep));
        slot.fill(saved);
        let (h, width) = shape.window.output;
        from_vec(y, [shape.n, h, width, shape.out_ch])
    }
}

#[derive(Debug)]
struct MbConvBackward;

#[derive(Clone, Debug)]
struct State<B: Backend> {
    x: FloatTensor<B>,
    weights: [FloatTensor<B>; PARAMETERS],
    shape: Arc<Shape>,
    slot: Slot<Saved>,
}

impl<B: MbConvBackend + Host> Backward<B, { PARAMETERS + 1 }> for MbConvBackward {
    type State = State<B>;

    fn backward(
        self,
        ops: Ops<Self::State, { PARAMETERS + 1 }>,
        grads: &mut Gradients,
        _: &mut Checkpointer,
    ) {
        let dy = grads.consume::<B>(&ops.node);
        let State {
            x,
            weights,
            shape,
            slot,
        } = ops.state;
        let Some(saved) = slot.get() else { return };
        let shapes = weights.each_ref().map(TensorMetadata::shape);
        let values = weights.map(B::values);
        let w = Parameters::from_array(values.each_ref().map(Vec::as_slice));
        let (dx, dw) = B::with(&x, |x| {
            B::with(&dy, |dy| mbconv::backward(&shape, x, &w, saved, dy))
        });
        let [node, nodes @ ..] = ops.parents;
        if let Some(node) = node {
            grads.register::<B>(node.id, B::tensor(dx, x.shape()));
        }
        for ((node, dw), shape) in nodes.into_iter().zip(dw.into_array()).zip(shapes) {
            if let Some(node) = node {
                grads.register::<B>(node.id, B::tensor(dw, shape));
            }
        }
    }
}

impl<B: MbConvBackend + Host, C: CheckpointStrategy> MbConvBackend for Autodiff<B, C> {
    fn mbconv(
        x: FloatTensor<Self>,
        expand: FloatTensor<Self>,
        expand_gamma: FloatTensor<Self>,
        expand_beta: FloatTensor<Self>,
        depthwise: FloatTensor<Self>,
        depthwise_gamma: FloatTensor<Self>,
        depthwise_beta: FloatTensor<Self>,
        reduce: FloatTensor<Self>,
        reduce_bias: FloatTensor<Self>,
        excite: FloatTensor<Self>,
        excite_bias: FloatTensor<Self>,
        project: FloatTensor<Self>,
        project_gamma: FloatTensor<Self>,
        project_beta: FloatTensor<Self>,
        shape: Shape,
        keep: Vec<f32>,
        slot: Slot<Saved>,
    ) -> FloatTensor<Self> {
        let all = [
            x,
            expand,
            expand_gamma,
            expand_beta,
            depthwise,
            depthwise_gamma,
            depthwise_beta,
            reduce,
            reduce_bias,
            excite,
            excite_bias,
            project,
            project_gamma,
            project_beta,
        ];
        let nodes = all.each_ref().map(|t| t.node());
        let [x, weights @ ..] = all.map(|t| t.into_primitive());
        let run = |x: FloatTensor<B>, w: [FloatTensor<B>; PARAMETERS]| {
            let [a, b, c, d, e, f, g, h, i, j, k, l, m] = w;
            let (shape, slot) = (shape.clone(), slot.clone());
            B::mbconv(x, a, b, c, d, e, f, g, h, i, j, k, l, m, shape, keep, slot)
        };
        match MbConvBackward
            .prepare::<C>(nodes)
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => {
                let y = run(x.clone(), weights.clone());
                let state = State {
                    x,
                    weights,
                    shape: Arc::new(shape.clone()),
                    slot: slot.clone(),
                };
                prep.finish(state, y)
            }
            OpsKind::UnTracked(prep) => prep.finish(run(x, weights)),
        }
    }
}
