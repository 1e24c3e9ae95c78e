//! The operators of a packed model.

use super::row_pairs::Form;
use super::{AddParams, Filter, Layout, MeanParams, MulParams, PoolParams, SoftmaxParams};
use crate::op::quant::CHANNEL_BYTES;

/// What a layer computes, with everything that its kernel needs.
#[derive(Clone, Copy, Debug)]
pub enum Operator<'a> {
    /// Convolution; 1x1 with stride 1 is the pointwise kernel.
    Conv(Filter<'a>),
    /// Depthwise convolution; output channel o reads input channel o / (out_ch / in_ch).
    Depthwise(Filter<'a>),
    /// Fully connected on the flattened input.
    Dense(Filter<'a>),
    /// Average over windows, scale and zero point unchanged.
    AveragePool(PoolParams),
    /// Maximum over windows, scale and zero point unchanged.
    MaxPool(PoolParams),
    /// Mean over height and width with a scale of its own.
    Mean(MeanParams<'a>),
    /// Sum of two maps.
    Add(AddParams<'a>),
    /// Map times one number per channel.
    Mul(MulParams),
    /// Each value through a table.
    Lookup(&'a [u8; 256]),
    /// Probabilities (q + 128) / 256.
    Softmax(SoftmaxParams),
}

impl Operator<'_> {
    /// The operator's word in reports.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Conv(f) if f.window.is_pointwise() => "pointwise",
            Self::Conv(_) => "conv",
            Self::Depthwise(_) => "depthwise",
            Self::Dense(_) => "dense",
            Self::AveragePool(_) => "average pool",
            Self::MaxPool(_) => "max pool",
            Self::Mean(_) => "mean",
            Self::Add(_) => "add",
            Self::Mul(_) => "mul",
            Self::Lookup(_) => "lookup",
            Self::Softmax(_) => "softmax",
        }
    }

    /// Multiply-accumulates of convolutions and dense layers; 0 for others.
    pub fn macs(&self) -> u64 {
        match self {
            Self::Conv(f) | Self::Dense(f) | Self::Depthwise(f) => {
                f.output.volume().saturating_mul(f.taps as u64)
            }
            _ => 0,
        }
    }

    /// Bytes of the weights section that a parse reads to its proofs.
    pub(crate) fn weight_bytes(&self) -> u64 {
        match self {
            Self::Conv(f) | Self::Dense(f) | Self::Depthwise(f) => {
                (f.weights.len() + CHANNEL_BYTES * f.channels.len()) as u64
            }
            Self::Add(p) => p.table.map_or(0, |t| size_of_val(t) as u64),
            _ => 0,
        }
    }

    /// The operator on a band: `rows` output rows from `input_rows` input rows, the first window
    /// reaching `pad_top` rows above them. Operators without a window only need the right slices.
    pub(crate) fn band(mut self, input_rows: usize, rows: usize, pad_top: usize) -> Self {
        match &mut self {
            Self::Conv(f) | Self::Depthwise(f) => {
                (f.input.h, f.output.h, f.window.pad_top) = (input_rows, rows, pad_top);
            }
            Self::AveragePool(p) | Self::MaxPool(p) => {
                (p.input.h, p.output.h, p.window.pad_top) = (input_rows, rows, pad_top);
            }
            _ => {}
        }
        self
    }

    /// Whether the output may replace the given input (0 or 1) value by value.
    pub fn works_in_place(&self, input: usize) -> bool {
        match self {
            Self::Add(_) => true,
            Self::Mul(_) | Self::Lookup(_) => input == 0,
            // The other kernels read rows again that the output would have replaced.
            Self::Depthwise(f) => {
                input == 0 && matches!(f.layout, Layout::RowPairs(Form::Blocks(_)))
            }
            _ => false,
        }
    }
}
