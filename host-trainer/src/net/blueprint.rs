//! A net as a list of parts: one description from which the net is built, counted, folded and
//! packed, whatever its architecture.

use crate::nn::Activation;
use crate::nn::squeeze_excite::SqueezeExciteConfig;

/// Height, width, channels.
pub(crate) type Dims = [usize; 3];

/// Parts in order; tensor 0 is the image, part i writes tensor i + 1. The last part writes the
/// logits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Blueprint {
    /// Input height, width and channels.
    pub input: Dims,
    /// The parts.
    pub steps: Vec<Step>,
}

/// One part, the tensors it reads, and its name in reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// "stem", "unit 2 squeeze-excite", …
    pub name: String,
    /// Tensors read.
    pub inputs: Vec<usize>,
    /// What it computes.
    pub part: Part,
}

/// A part of a net. Convolutions are followed by batch norm, have no bias and pad like
/// TensorFlow's SAME.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Convolution, batch norm, activation.
    Conv {
        /// Channels out.
        out_ch: usize,
        /// Kernel height and width.
        kernel: usize,
        /// Stride in both directions.
        stride: usize,
        /// Groups of channels that do not see each other; 1 for a plain convolution.
        groups: usize,
        /// Behind batch norm.
        act: Activation,
    },
    /// Depthwise convolution, batch norm, activation.
    Depthwise {
        /// Kernel height and width.
        kernel: usize,
        /// Stride in both directions.
        stride: usize,
        /// Behind batch norm.
        act: Activation,
    },
    /// Squeeze-and-excitation.
    SqueezeExcite {
        /// Width of the bottleneck.
        squeezed_ch: usize,
        /// Inside.
        act: Activation,
        /// Behind: sigmoid or hard sigmoid.
        gate: Activation,
        /// Whether its dense layers have biases.
        bias: bool,
    },
    /// Greatest value under each window, SAME padding.
    MaxPool {
        /// Window height and width.
        kernel: usize,
        /// Stride in both directions.
        stride: usize,
    },
    /// Sum of two maps, then an activation.
    Add {
        /// Behind the sum.
        act: Activation,
    },
    /// The channels of all inputs, one after the other.
    Concat,
    /// Mean over height and width.
    GlobalMean,
    /// Dropout, then a fully connected layer with bias: the classifier.
    Dense {
        /// Outputs.
        out: usize,
    },
}

impl Blueprint {
    /// No part yet.
    pub(crate) fn new(input: Dims) -> Self {
        Self {
            input,
            steps: Vec::new(),
        }
    }

    /// Appends a part that reads `inputs`; returns the tensor that it writes.
    pub(crate) fn push(&mut self, name: impl Into<String>, inputs: &[usize], part: Part) -> usize {
        self.steps.push(Step {
            name: name.into(),
            inputs: inputs.to_vec(),
            part,
        });
        self.steps.len()
    }

    /// A convolution of one group.
    pub(crate) fn conv(
        &mut self,
        name: impl Into<String>,
        x: usize,
        out_ch: usize,
        (kernel, stride): (usize, usize),
        act: Activation,
    ) -> usize {
        let part = Part::Conv {
            out_ch,
            kernel,
            stride,
            groups: 1,
            act,
        };
        self.push(name, &[x], part)
    }

    /// Mean and classifier behind `x`.
    pub(crate) fn classifier(&mut self, x: usize, classes: usize) {
        let x = self.push("mean", &[x], Part::GlobalMean);
        self.push("classifier", &[x], Part::Dense { out: classes });
    }

    /// Dimensions of every tensor.
    pub(crate) fn dims(&self) -> Vec<Dims> {
        let mut all = vec![self.input];
        for step in &self.steps {
            let [h, w, c] = step.inputs.first().map_or(self.input, |i| all[*i]);
            let strided = |s: usize, c| [h.div_ceil(s), w.div_ceil(s), c];
            all.push(match step.part {
                Part::Conv { out_ch, stride, .. } => strided(stride, out_ch),
                Part::Depthwise { stride, .. } | Part::MaxPool { stride, .. } => strided(stride, c),
                Part::SqueezeExcite { .. } | Part::Add { .. } => [h, w, c],
                Part::Concat => [h, w, step.inputs.iter().map(|i| all[*i][2]).sum()],
                Part::GlobalMean => [1, 1, c],
                Part::Dense { out } => [1, 1, out],
            });
        }
        all
    }

    /// Dimensions of a tensor.
    pub(crate) fn dims_of(&self, tensor: usize) -> Dims {
        self.dims().get(tensor).copied().unwrap_or(self.input)
    }

    /// Trained parameters of each part: weights, biases, γ and β.
    pub(crate) fn parameters_by_step(&self) -> Vec<usize> {
        let dims = self.dims();
        let count = |(i, step): (usize, &Step)| {
            let [h, w, c] = step.inputs.first().map_or(self.input, |t| dims[*t]);
            match step.part {
                Part::Conv {
                    out_ch,
                    kernel,
                    groups,
                    ..
                } => kernel * kernel * c / groups * out_ch + 2 * out_ch,
                Part::Depthwise { kernel, .. } => kernel * kernel * c + 2 * c,
                Part::SqueezeExcite { .. } => self
                    .squeeze_excite(i)
                    .map_or(0, |config| config.parameters()),
                Part::Dense { out } => h * w * c * out + out,
                Part::MaxPool { .. } | Part::Add { .. } | Part::Concat | Part::GlobalMean => 0,
            }
        };
        self.steps.iter().enumerate().map(count).collect()
    }

    /// Trained parameters.
    pub(crate) fn parameters(&self) -> usize {
        self.parameters_by_step().iter().sum()
    }

    /// Multiply-accumulates of one image: convolutions, squeeze-and-excitation (its dense layers)
    /// and classifier.
    pub(crate) fn macs(&self) -> usize {
        let dims = self.dims();
        let count = |(i, step): (usize, &Step)| {
            let [h, w, c] = step.inputs.first().map_or(self.input, |t| dims[*t]);
            let [oh, ow, oc] = dims[i + 1];
            match step.part {
                Part::Conv { kernel, groups, .. } => oh * ow * oc * kernel * kernel * c / groups,
                Part::Depthwise { kernel, .. } => oh * ow * oc * kernel * kernel,
                Part::SqueezeExcite { squeezed_ch, .. } => 2 * c * squeezed_ch,
                Part::Dense { out } => h * w * c * out,
                Part::MaxPool { .. } | Part::Add { .. } | Part::Concat | Part::GlobalMean => 0,
            }
        };
        self.steps.iter().enumerate().map(count).sum()
    }

    /// The squeeze-and-excitation of step `i`, if it is one.
    pub(crate) fn squeeze_excite(&self, i: usize) -> Option<SqueezeExciteConfig> {
        match self.steps.get(i)?.part {
            Part::SqueezeExcite {
                squeezed_ch,
                act,
                gate,
                bias,
            } => Some(SqueezeExciteConfig {
                ch: self.dims_of(i + 1)[2],
                squeezed_ch,
                act,
                gate,
                bias,
            }),
            _ => None,
        }
    }

    /// Every squeeze-and-excitation.
    pub(crate) fn squeeze_excites(&self) -> Vec<SqueezeExciteConfig> {
        (0..self.steps.len())
            .filter_map(|i| self.squeeze_excite(i))
            .collect()
    }
}
