//! How far an operator's kernels reach into each operand: one formula for the parser that proves it,
//! the kernels that rely on it, and the task runner that makes operands.
//!
//! `docs/kernels.md` lists every pointer of every `unsafe` kernel with its extent and its proof.

use super::arch::scratch::scratch_len;
use crate::op::Operator;

/// Bytes from the beginning of each operand that a kernel may read or, of output and scratch memory,
/// write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extents {
    /// First input.
    pub input: usize,
    /// Second input; 0 where the operator has none.
    pub second: usize,
    /// Output.
    pub output: usize,
    /// Scratch memory.
    pub scratch: usize,
}

impl Extents {
    /// Of an operator whose output has `values` values. Operators that work value by value take as
    /// many; the others know their shapes.
    pub fn of(operator: &Operator<'_>, values: usize) -> Self {
        let (input, second, output) = match operator {
            Operator::Conv(f) | Operator::Depthwise(f) | Operator::Dense(f) => {
                (f.input.len(), 0, f.output.len())
            }
            Operator::AveragePool(p) | Operator::MaxPool(p) => (p.input.len(), 0, p.output.len()),
            Operator::Mean(p) => (p.input.len(), 0, p.input.c),
            Operator::Add(_) => (values, values, values),
            Operator::Mul(p) => (values, p.ch, values),
            Operator::Lookup(_) | Operator::Softmax(_) => (values, 0, values),
        };
        Self {
            input,
            second,
            output,
            scratch: scratch_len(operator),
        }
    }

    /// Whether operands of these lengths hold all that is read and written.
    pub const fn fit(&self, input: usize, second: usize, output: usize, scratch: usize) -> bool {
        self.input <= input
            && self.second <= second
            && self.output <= output
            && self.scratch <= scratch
    }
}
