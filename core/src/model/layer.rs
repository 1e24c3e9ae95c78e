//! Layer records: 40 bytes each, decoded on access.

use super::bytes::{u8_at, u16_at, u32_at};
use super::header::Model;
use super::record::Source;
use crate::error::{LayerFault, ModelError};
use crate::kernels::row_pairs::Form;
use crate::kernels::{
    AddParams, Extents, Filter, Layout, MeanParams, MulParams, PoolParams, SoftmaxParams,
    scratch_len,
};
use crate::quant::CHANNEL_BYTES;
use crate::shape::Window;

/// Second input of a layer that reads one tensor.
pub(crate) const NONE: u16 = u16::MAX;

/// Operator codes of the format.
pub(crate) mod code {
    pub const CONV: u8 = 1;
    pub const DEPTHWISE: u8 = 2;
    pub const DENSE: u8 = 3;
    pub const AVERAGE_POOL: u8 = 4;
    pub const MAX_POOL: u8 = 5;
    pub const MEAN: u8 = 6;
    pub const ADD: u8 = 7;
    pub const MUL: u8 = 8;
    pub const LOOKUP: u8 = 9;
    pub const SOFTMAX: u8 = 10;
}

/// Layout codes of the format. Codes are free for each operator; 0 is natural for all.
pub(crate) mod layout {
    pub const NATURAL: u8 = 0;
    pub const PAIRS: u8 = 1;
    pub const PAIRS_DOUBLED: u8 = 2;
    pub const ROW_PAIRS_FAST: u8 = 3;
    pub const ROW_PAIRS: u8 = 4;
    pub const ROW_PAIRS_ANY: u8 = 5;
    /// Of an addition: a table follows the constants.
    pub const TABLE: u8 = 6;
}

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

impl Window {
    /// One pixel, stride 1.
    pub(crate) fn is_pointwise(&self) -> bool {
        self.kernel_h == 1 && self.kernel_w == 1 && self.stride_h == 1 && self.stride_w == 1
    }
}

/// One layer: its operator and the tensors that it reads and writes.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a> {
    /// What it computes.
    pub operator: Operator<'a>,
    /// First input tensor.
    pub input: usize,
    /// Second input tensor of add and mul.
    pub second: Option<usize>,
    /// Output tensor: the layer's index plus 1.
    pub output: usize,
    /// First byte of its scratch memory in the arena, and how many bytes.
    pub scratch: (usize, usize),
}

impl<'a> Layer<'a> {
    /// The scratch memory's bytes in the arena.
    pub fn scratch_range(&self) -> core::ops::Range<usize> {
        self.scratch.0..self.scratch.0 + self.scratch.1
    }

    /// Whether the output may take the place of `tensor`, value by value. A layer that reads it twice must
    /// be able to lose both: a map may be added to itself there, not multiplied by itself.
    pub fn may_replace(&self, tensor: usize) -> bool {
        let first = self.input == tensor;
        let second = self.second == Some(tensor);
        (first || second)
            && (!first || self.operator.works_in_place(0))
            && (!second || self.operator.works_in_place(1))
    }

    /// Whether the layer reads `tensor`.
    pub fn reads(&self, tensor: usize) -> bool {
        self.input == tensor || self.second == Some(tensor)
    }

    /// Decodes the record of layer `index`. `prove` checks what takes long (every channel, every
    /// weight of a stream); the memory plan is checked elsewhere.
    pub(crate) fn decode(model: &Model<'a>, index: usize, prove: bool) -> Result<Self, ModelError> {
        let layer = index as u16;
        let fault = |what| ModelError::Layer { layer, what };
        let record = model.record(index).ok_or(fault(LayerFault::Input))?;
        let operator_code = u8_at(record, 0);
        if !(code::CONV..=code::SOFTMAX).contains(&operator_code) {
            return Err(ModelError::UnknownOperator {
                layer,
                code: operator_code,
            });
        }
        let input = usize::from(u16_at(record, 2));
        let second = Some(u16_at(record, 4))
            .filter(|b| *b != NONE)
            .map(usize::from);
        let output = index + 1;
        let two = matches!(operator_code, code::ADD | code::MUL);
        if input > index || second.is_some_and(|b| b > index) || second.is_some() != two {
            return Err(fault(LayerFault::Input));
        }
        let source = Source {
            model: *model,
            record,
            input,
            second,
            output,
            prove,
        };
        if prove {
            source.reserved(operator_code).map_err(fault)?;
        }
        let operator = source.operator(operator_code).map_err(fault)?;
        let scratch = (u32_at(record, 32) as usize, u32_at(record, 36) as usize);
        let end = scratch.0.checked_add(scratch.1);
        let inside = end.is_some_and(|end| end <= model.arena_len());
        if !inside || !scratch.0.is_multiple_of(4) || scratch.1 < scratch_len(&operator) {
            return Err(fault(LayerFault::Scratch));
        }
        if prove {
            // What the kernels reach into is what the tensors have.
            let len = |t: usize| model.tensor(t).shape.len();
            let extents = Extents::of(&operator, len(output));
            let operands = (len(input), second.map_or(0, len), len(output));
            let fit = extents.fit(operands.0, operands.1, operands.2, scratch.1);
            let all = extents.output == operands.2 && extents.input == operands.0;
            if !fit || !all {
                return Err(fault(LayerFault::Shape));
            }
        }
        Ok(Self {
            operator,
            input,
            second,
            output,
            scratch,
        })
    }
}
