//! Layer records: 40 bytes each, decoded on access.

use super::filter::Kind;
use super::format::code;
use super::header::Model;
use super::operator::Source;
use crate::error::{LayerFault, ModelError};
use crate::kernels::{Extents, OperatorSet, scratch_len};
use crate::op::Operator;

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
        let code = record.operator;
        if !(code::CONV..=code::SOFTMAX).contains(&code) {
            return Err(ModelError::UnknownOperator { layer, code });
        }
        let [input, second] = record.inputs();
        let input = input.unwrap_or(0);
        let output = index + 1;
        let two = matches!(code, code::ADD | code::MUL);
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
            source.reserved().map_err(fault)?;
        }
        let operator = match code {
            code::CONV => source.filter(Kind::Conv).map(Operator::Conv),
            code::DEPTHWISE => source.filter(Kind::Depthwise).map(Operator::Depthwise),
            code::DENSE => source.filter(Kind::Dense).map(Operator::Dense),
            _ => source.without_weights(),
        };
        let operator = operator.map_err(fault)?;
        let scratch = (record.scratch_at as usize, record.scratch_len as usize);
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

impl<'a> Model<'a> {
    /// Layer `index`, decoded; none beyond the last.
    pub fn layer(&self, index: usize) -> Option<Layer<'a>> {
        Layer::decode(self, index, false).ok()
    }

    /// The layers in order.
    pub fn layers(&self) -> impl Iterator<Item = Layer<'a>> + use<'a> {
        let model = *self;
        (0..model.layer_count()).filter_map(move |i| model.layer(i))
    }

    /// The kernels that the model needs.
    pub fn operator_set(&self) -> OperatorSet {
        let sets = self.layers().map(|layer| OperatorSet::of(&layer.operator));
        let all = sets.fold(OperatorSet::NONE, OperatorSet::with);
        all.with(self.stream_operators())
    }

    /// What the model's streams need besides their layers.
    pub(crate) fn stream_operators(&self) -> OperatorSet {
        let streams = self.streams().map(|stream| {
            let mean = stream.links().any(|link| {
                let layer = self.layer(link.layer);
                layer.is_some_and(|l| matches!(l.operator, Operator::Mean(_)))
            });
            if mean {
                OperatorSet::STREAM.with(OperatorSet::STREAM_MEAN)
            } else {
                OperatorSet::STREAM
            }
        });
        streams.fold(OperatorSet::NONE, OperatorSet::with)
    }
}
