//! Kernels in safe Rust for every target, and the loops that other instruction sets fall back on.
//!
//! They read every weight layout. `lanes` and `dot` name the few instructions in which another
//! instruction set may run the same loops.

pub mod add;
pub mod conv;
pub mod dense;
pub mod depthwise;
pub mod dot;
pub mod lanes;
pub mod lookup;
pub mod mean;
pub mod pointwise;
pub mod pool;
pub mod softmax;
pub mod squeeze_excite;
pub mod sums;

use self::dot::Dot;
use self::lanes::Lanes;
use super::Isa;
use crate::kernels::arch::operands::Operands;
use crate::kernels::{OperatorSet as Set, Operators};
use crate::op::{MeanParams, Operator};

pub use depthwise::scratch as depthwise_scratch;
pub use mean::{add_rows, finish as mean_finish};

/// Its name.
#[allow(dead_code)] // the chosen set's is read
pub const ISA: Isa = Isa::Portable;

/// Kernels read at any address.
pub const WORD_ALIGNED: bool = false;

/// Runs an operator; false, with nothing written, where an operand is too short, too long, or the
/// operator is not in `O` or does not work in place.
#[inline(always)]
pub fn run<O: Operators>(operator: &Operator<'_>, operands: &mut Operands<'_>) -> bool {
    run_with::<O, dot::Plain, lanes::Plain>(operator, operands)
}

/// Adds the channels' sums of `input`, some rows of the map, to `sums [c]`.
#[inline(always)]
pub fn mean_rows(p: &MeanParams<'_>, input: &[i8], sums: &mut [i8]) -> bool {
    add_rows::<lanes::Plain>(p, input, sums)
}

/// [`run`] in an instruction set's own instructions.
#[inline(always)]
pub fn run_with<O: Operators, D: Dot, L: Lanes>(
    operator: &Operator<'_>,
    operands: &mut Operands<'_>,
) -> bool {
    let has = |set| O::SET.has_any(set);
    match operator {
        Operator::Add(p) if has(Set::ADD.with(Set::ADD_PLAIN)) => {
            return add::add::<O>(p, operands);
        }
        Operator::Mul(p) if has(Set::MUL.with(Set::MUL_PLAIN)) => {
            return squeeze_excite::mul::<O>(p, operands);
        }
        Operator::Lookup(table) if has(Set::LOOKUP) => {
            return lookup::lookup(table, &mut operands.maps);
        }
        _ => {}
    }
    let scratch = &mut *operands.scratch;
    let (input, output) = match operands.maps.split() {
        Ok(maps) => maps,
        Err(map) => {
            return match operator {
                Operator::Depthwise(f) if has(Set::DEPTHWISE_PAIRS) => {
                    depthwise::depthwise_in_place::<O>(f, map, scratch)
                }
                _ => false,
            };
        }
    };
    match operator {
        // Where the set's own convolution knows 1x1 windows, no second fallback.
        Operator::Conv(f) if f.window.is_pointwise() && has(Set::POINTWISE) => {
            pointwise::pointwise(f, input, output, scratch)
        }
        Operator::Conv(f) if has(Set::CONV_NATURAL.with(Set::CONV_PACKED)) => {
            conv::conv::<O, D>(f, input, output, scratch)
        }
        Operator::Depthwise(f) if has(Set::DEPTHWISE) => {
            depthwise::depthwise::<O>(f, input, output, scratch)
        }
        Operator::Dense(f) if has(Set::DENSE.with(Set::DENSE_NATURAL)) => {
            dense::dense::<O, D>(f, input, output)
        }
        Operator::AveragePool(p) if has(Set::AVERAGE_POOL) => pool::average_pool(p, input, output),
        Operator::MaxPool(p) if has(Set::MAX_POOL) => pool::max_pool(p, input, output),
        Operator::Mean(p) if has(Set::MEAN) => mean::mean::<O, L>(p, input, output),
        Operator::Softmax(p) if has(Set::SOFTMAX) => softmax::softmax(p, input, output),
        _ => false,
    }
}
