//! The scale of squeeze-and-excitation (SENet, arXiv 1709.01507, eq. 4): each channel of a map
//! times one number, x̃[n, y, x, c] = x[n, y, x, c] * s[n, c]. It multiplies; it does not add.

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, AutodiffBackend, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;
use multiversion::multiversion;
use rayon::prelude::*;

use super::CHUNKS;
use super::storage::{from_vec, to_dims, with_slice};

/// The operator on backend primitives.
#[backend_extension(Autodiff, Flex)]
pub trait GateBackend: Backend {
    /// `x [n, h, w, c]` times `s [n, c]`.
    fn gate(x: FloatTensor<Self>, s: FloatTensor<Self>) -> FloatTensor<Self>;
    /// Gradients of `x` and `s` for the output gradient `dy`.
    fn gate_backward(
        x: FloatTensor<Self>,
        s: FloatTensor<Self>,
        dy: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
}

/// `x [n, h, w, c]`, each channel scaled by `s [n, c]`.
pub fn gate(x: Tensor<4>, s: Tensor<2>) -> Tensor<4> {
    Tensor::from_dispatch(Dispatch::gate(x.into_dispatch(), s.into_dispatch()))
}

impl GateBackend for Flex {
    fn gate(x: FloatTensor<Self>, s: FloatTensor<Self>) -> FloatTensor<Self> {
        let [n, h, w, c] = to_dims(&x);
        let mut y = vec![0.0; n * h * w * c];
        with_slice(x, |x| {
            with_slice(s, |s| {
                y.par_chunks_mut(h * w * c)
                    .zip(x.par_chunks(h * w * c))
                    .zip(s.par_chunks(c))
                    .with_min_len(n.div_ceil(CHUNKS))
                    .for_each(|((y, x), s)| scale(x, s, y));
            });
        });
        from_vec(y, [n, h, w, c])
    }

    fn gate_backward(
        x: FloatTensor<Self>,
        s: FloatTensor<Self>,
        dy: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let [n, h, w, c] = to_dims(&x);
        let mut dx = vec![0.0; n * h * w * c];
        let mut ds = vec![0.0; n * c];
        with_slice(x, |x| {
            with_slice(s, |s| {
                with_slice(dy, |dy| {
                    dx.par_chunks_mut(h * w * c)
                        .zip(ds.par_chunks_mut(c))
                        .zip(x.par_chunks(h * w * c).zip(dy.par_chunks(h * w * c)))
                        .zip(s.par_chunks(c))
                        .with_min_len(n.div_ceil(CHUNKS))
                        .for_each(|(((dx, ds), (x, dy)), s)| scale_backward(x, s, dy, dx, ds));
                });
            });
        });
        (from_vec(dx, [n, h, w, c]), from_vec(ds, [n, c]))
    }
}

#[multiversion(targets("x86_64+avx2+fma", "aarch64+neon"))]
fn scale(x: &[f32], s: &[f32], y: &mut [f32]) {
    for (y, x) in y.chunks_exact_mut(s.len()).zip(x.chunks_exact(s.len())) {
        for ((y, x), s) in y.iter_mut().zip(x).zip(s) {
            *y = x * s;
        }
    }
}

#[multiversion(targets("x86_64+avx2+fma", "aarch64+neon"))]
fn scale_backward(x: &[f32], s: &[f32], dy: &[f32], dx: &mut [f32], ds: &mut [f32]) {
    let c = s.len();
    for ((dx, x), dy) in dx
        .chunks_exact_mut(c)
        .zip(x.chunks_exact(c))
        .zip(dy.chunks_exact(c))
    {
        for i in 0..c {
            dx[i] = dy[i] * s[i];
            ds[i] += dy[i] * x[i];
        }
    }
}

#[derive(Debug)]
struct GateBackward;

impl<B: GateBackend> Backward<B, 2> for GateBackward {
    type State = (NodeId, NodeId);

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let [node_x, node_s] = ops.parents;
        let dy = grads.consume::<B>(&ops.node);
        let x = checkpointer.retrieve_node_output(ops.state.0);
        let s = checkpointer.retrieve_node_output(ops.state.1);
        let (dx, ds) = B::gate_backward(x, s, dy);
        if let Some(node) = node_x {
            grads.register::<B>(node.id, dx);
        }
        if let Some(node) = node_s {
            grads.register::<B>(node.id, ds);
        }
    }
}

impl<B: GateBackend, C: CheckpointStrategy> GateBackend for Autodiff<B, C> {
    fn gate(x: FloatTensor<Self>, s: FloatTensor<Self>) -> FloatTensor<Self> {
        match GateBackward
            .prepare::<C>([x.node(), s.node()])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(mut prep) => {
                let state = (prep.checkpoint(&x), prep.checkpoint(&s));
                let y = B::gate(x.into_primitive(), s.into_primitive());
                prep.finish(state, y)
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(B::gate(x.into_primitive(), s.into_primitive()))
            }
        }
    }

    /// First order only: the gradients come back as constants.
    fn gate_backward(
        x: FloatTensor<Self>,
        s: FloatTensor<Self>,
        dy: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let (dx, ds) =
            B::gate_backward(x.into_primitive(), s.into_primitive(), dy.into_primitive());
        (Self::from_inner(dx), Self::from_inner(ds))
    }
}
