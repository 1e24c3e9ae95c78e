//! The net of a blueprint: parts with weights, run in order.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::blueprint::{Blueprint, Part};
use crate::nn::init::Init;
use crate::nn::noise::Pass;
use crate::nn::ops::global_pool;
use crate::nn::squeeze_excite::SqueezeExcite;
use crate::nn::{ConvBnAct, Depthwise, GroupedConv, Pointwise, activate, max_pool};

/// A part that has weights.
#[derive(Module, Debug)]
pub(crate) enum Layer {
    /// Convolution of one group.
    Conv(ConvBnAct),
    /// 1x1 convolution of stride 1.
    Pointwise(Pointwise),
    /// Convolution of several groups.
    Grouped(GroupedConv),
    /// Depthwise convolution.
    Depthwise(Depthwise),
    /// Squeeze-and-excitation.
    SqueezeExcite(SqueezeExcite),
    /// Classifier.
    Dense(Dense),
}

/// A fully connected layer.
#[derive(Module, Debug)]
pub(crate) struct Dense {
    /// `[in, out]`.
    pub weight: Param<Tensor<2>>,
    /// `[out]`.
    pub bias: Param<Tensor<1>>,
}

/// The net.
#[derive(Module, Debug)]
pub(crate) struct Net {
    /// The parts with weights, in the blueprint's order.
    pub layers: Vec<Layer>,
    #[module(skip)]
    blueprint: Blueprint,
}

impl Blueprint {
    /// A net with weights from `init`.
    pub(crate) fn init(&self, init: &mut Init<'_>) -> Net {
        let dims = self.dims();
        let mut layers = Vec::new();
        for (i, step) in self.steps.iter().enumerate() {
            let [h, w, c] = step.inputs.first().map_or(self.input, |t| dims[*t]);
            layers.extend(match step.part {
                Part::Conv {
                    out_ch,
                    kernel: 1,
                    stride: 1,
                    groups: 1,
                    act,
                } => Some(Layer::Pointwise(Pointwise::new((c, out_ch), act, init))),
                Part::Conv {
                    out_ch,
                    kernel,
                    stride,
                    groups: 1,
                    act,
                } => Some(Layer::Conv(ConvBnAct::new(
                    (c, out_ch),
                    kernel,
                    stride,
                    act,
                    init,
                ))),
                Part::Conv {
                    out_ch,
                    kernel,
                    stride,
                    groups,
                    act,
                } => Some(Layer::Grouped(GroupedConv::new(
                    (c, out_ch),
                    groups,
                    (kernel, stride),
                    act,
                    init,
                ))),
                Part::Depthwise {
                    kernel,
                    stride,
                    act,
                } => Some(Layer::Depthwise(Depthwise::new(
                    c, kernel, stride, act, init,
                ))),
                Part::SqueezeExcite { .. } => self
                    .squeeze_excite(i)
                    .map(|config| Layer::SqueezeExcite(config.init(init))),
                Part::Dense { out } => Some(Layer::Dense(Dense {
                    weight: init.uniform([h * w * c, out], out),
                    bias: init.constant([out], 0.0),
                })),
                Part::MaxPool { .. } | Part::Add { .. } | Part::Concat | Part::GlobalMean => None,
            });
        }
        Net {
            layers,
            blueprint: self.clone(),
        }
    }
}

impl Net {
    /// The description that it was built from.
    pub(crate) fn blueprint(&self) -> &Blueprint {
        &self.blueprint
    }

    /// Images `[n, h, w, c]` to logits `[n, classes]`.
    pub(crate) fn forward(&self, x: Tensor<4>, pass: &mut Pass<'_>) -> Tensor<2> {
        let mut tensors = vec![x];
        let mut layers = self.layers.iter();
        for step in &self.blueprint.steps {
            let x = tensors[step.inputs[0]].clone();
            let y = match step.part {
                Part::MaxPool { kernel, stride } => max_pool(x, kernel, stride),
                Part::Add { act } => activate(x + tensors[step.inputs[1]].clone(), act),
                Part::Concat => {
                    let all = step.inputs.iter().map(|t| tensors[*t].clone()).collect();
                    Tensor::cat(all, 3)
                }
                Part::GlobalMean => {
                    let [n, _, _, c] = x.dims();
                    global_pool(x).reshape([n, 1, 1, c])
                }
                Part::Conv { .. }
                | Part::Depthwise { .. }
                | Part::SqueezeExcite { .. }
                | Part::Dense { .. } => match layers.next() {
                    Some(layer) => layer.forward(x, pass),
                    None => x,
                },
            };
            tensors.push(y);
        }
        let logits = tensors.swap_remove(tensors.len() - 1);
        let [n, h, w, c] = logits.dims();
        logits.reshape([n, h * w * c])
    }
}

impl Layer {
    fn forward(&self, x: Tensor<4>, pass: &mut Pass<'_>) -> Tensor<4> {
        match self {
            Self::Conv(conv) => conv.forward(x, pass),
            Self::Pointwise(conv) => conv.forward(x, pass),
            Self::Grouped(conv) => conv.forward(x, pass),
            Self::Depthwise(conv) => conv.forward(x, pass),
            Self::SqueezeExcite(se) => se.forward(x),
            Self::Dense(dense) => {
                let [n, h, w, c] = x.dims();
                let features = pass.dropout(x.reshape([n, h * w * c]));
                let y = features.matmul(dense.weight.val()) + dense.bias.val().unsqueeze();
                let out = y.dims()[1];
                y.reshape([n, 1, 1, out])
            }
        }
    }
}
