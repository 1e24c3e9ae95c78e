//! The graph: tensors, and the operators that write them.

use crate::nn::Activation;

/// One tensor: height, width, channels.
pub(crate) type Dims = [usize; 3];

/// Operators in order; tensor 0 is the input, operator i writes tensor i + 1.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Graph {
    /// Dimensions of every tensor.
    pub tensors: Vec<Dims>,
    /// The operators.
    pub nodes: Vec<Node>,
}

/// One operator, the tensors it reads, and its name in reports.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    /// "stem", "block 2 depthwise", …
    pub name: String,
    /// Tensors read.
    pub inputs: Vec<usize>,
    /// What it computes.
    pub op: Op,
}

/// What a node computes. Convolutions pad like TensorFlow's SAME.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Op {
    /// Weights `[out_ch][kernel][kernel][in_ch]`.
    Conv(Filter),
    /// A number of groups; weights `[out_ch][kernel][kernel][in_ch / groups]`. Is lowered before
    /// packing.
    GroupedConv(usize, Filter),
    /// Weights `[kernel][kernel][ch]`.
    Depthwise(Filter),
    /// Weights `[out][in]`; the input is flat.
    Dense(Filter),
    /// Greatest value under each window; what lies outside the map does not count.
    MaxPool {
        /// Window height and width.
        kernel: usize,
        /// Stride in both directions.
        stride: usize,
    },
    /// Mean over height and width.
    Mean,
    /// Gate computed from the input's own mean.
    SqueezeExcite {
        /// `[squeezed][ch]`, then its activation.
        reduce: Filter,
        /// `[ch][squeezed]`, then the gate's activation.
        expand: Filter,
    },
    /// A map times one number in 0 to 1 for each channel: the second tensor.
    Scale,
    /// Sum of two tensors, then an activation.
    Add(Activation),
    /// The channels of all inputs, one after the other. Is lowered before packing.
    Concat,
}

/// Weights with batch norm folded in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Filter {
    /// Kernel height and width; 1 for dense layers.
    pub kernel: usize,
    /// Stride in both directions.
    pub stride: usize,
    /// Row-major, in the order that the operator names.
    pub weights: Vec<f32>,
    /// One per output channel.
    pub bias: Vec<f32>,
    /// Behind it.
    pub act: Activation,
}

impl Graph {
    /// An empty graph on one input.
    pub(crate) fn new(input: Dims) -> Self {
        Self {
            tensors: vec![input],
            nodes: Vec::new(),
        }
    }

    /// Appends an operator that writes a tensor of `dims`; returns the tensor.
    pub(crate) fn push(&mut self, name: String, inputs: &[usize], op: Op, dims: Dims) -> usize {
        self.nodes.push(Node {
            name,
            inputs: inputs.to_vec(),
            op,
        });
        self.tensors.push(dims);
        self.tensors.len() - 1
    }
}
