//! Which micro-kernel runs an operator, and the checks that all of them need.

use super::Dsp;
use crate::kernels::arch::operands::Operands;
use crate::kernels::arch::{Isa, portable};
use crate::kernels::{OperatorSet as Set, Operators, scratch_len};
use crate::op::{Layout, MeanParams, Operator};

/// Its name.
pub const ISA: Isa = Isa::ArmDsp;

/// Packed weights and scratch memory are read in words.
pub const WORD_ALIGNED: bool = true;

/// What portable loops do not run here.
const OWN: Set = Set::CONV_PACKED
    .with(Set::DEPTHWISE_PAIRS)
    .with(Set::DENSE)
    .with(Set::ADD)
    .with(Set::MUL);

/// What is left for the portable loops of a program that links `O`.
struct Rest<O>(core::marker::PhantomData<O>);

impl<O: Operators> Operators for Rest<O> {
    const SET: Set = O::SET.without(OWN);
}

/// Runs an operator; false, with nothing written, where it can't.
#[inline(always)]
pub fn run<O: Operators>(operator: &Operator<'_>, operands: &mut Operands<'_>) -> bool {
    if O::SET.has_any(OWN)
        && is_candidate(operator)
        && let Some(ran) = own::<O>(operator, operands)
    {
        return ran;
    }
    match operator {
        Operator::Lookup(table) if O::SET.has(Set::LOOKUP) => {
            super::lookup::lookup(table, &mut operands.maps)
        }
        Operator::AveragePool(p)
            if O::SET.has(Set::AVERAGE_POOL)
                && operands
                    .maps
                    .split()
                    .is_ok_and(|(x, y)| super::pool::average_pool(p, x, y)) =>
        {
            true
        }
        Operator::MaxPool(p)
            if O::SET.has(Set::MAX_POOL)
                && operands
                    .maps
                    .split()
                    .is_ok_and(|(x, y)| super::pool::max_pool(p, x, y)) =>
        {
            true
        }
        _ => portable::run_with::<Rest<O>, Dsp, Dsp>(operator, operands),
    }
}

/// Adds the channels' sums of `input`, some rows of the map, to `sums [c]`.
#[inline(always)]
pub fn mean_rows(p: &MeanParams<'_>, input: &[i8], sums: &mut [i8]) -> bool {
    portable::add_rows::<Dsp>(p, input, sums)
}

pub use portable::mean_finish;

/// Whether an operator may have a kernel of its own here: the answer costs little.
#[inline(always)]
fn is_candidate(operator: &Operator<'_>) -> bool {
    matches!(
        operator,
        Operator::Conv(_)
            | Operator::Depthwise(_)
            | Operator::Dense(_)
            | Operator::Add(_)
            | Operator::Mul(_)
    )
}

/// Runs an operator that has a kernel here; none for others. False, with nothing computed, where a map
/// or the scratch memory is shorter than the operator's [`Extents`](crate::kernels::Extents) say,
/// scratch memory, weights or an input that is read in aligned words do not begin at a multiple of 4,
/// or the kernel is not linked.
///
/// Other inputs may begin anywhere: bands of a stream do, and so do their pixels.
///
/// `O` has all that the operator takes, rare shapes included: `Interpreter::with_operators` refuses
/// models with others, and whoever calls without an interpreter links all. The kernels' `SAFETY:`
/// arguments rest on it, because a way that is not linked would be replaced by one for other shapes.
#[inline(never)]
fn own<O: Operators>(operator: &Operator<'_>, operands: &mut Operands<'_>) -> Option<bool> {
    let (needs, gives, weights, ch) = match operator {
        Operator::Conv(f) | Operator::Depthwise(f) | Operator::Dense(f) => {
            if f.layout == Layout::Natural {
                return None;
            }
            let weights = f.weights.as_ptr().addr();
            (f.input.len(), f.output.len(), weights, f.input.c)
        }
        // Reads bytes: its maps may begin anywhere, and so may scratch memory that it does not use.
        Operator::Add(p) if p.table.is_some() => {
            return Some(O::SET.has(Set::ADD) && super::add::add::<O>(p, operands));
        }
        Operator::Mul(p) => (0, 0, 0, p.ch),
        _ => return None,
    };
    let ([input_len, output_len], scratch) = (operands.maps.lens(), &operands.scratch);
    let (input, _) = operands.maps.places();
    let words = if ch.is_multiple_of(4) {
        input.addr()
    } else {
        0
    };
    let aligned = weights | words | scratch.as_ptr().addr();
    let fits = input_len >= needs && output_len >= gives && scratch.len() >= scratch_len(operator);
    if !fits || !aligned.is_multiple_of(4) {
        return Some(false);
    }
    #[cfg(debug_assertions)]
    {
        let extents = crate::kernels::Extents::of(operator, output_len);
        let second = operands
            .other
            .len()
            .max(if operands.which == 2 { input_len } else { 0 });
        assert!(extents.fit(input_len, second, output_len, operands.scratch.len()));
    }
    let ran = match operator {
        Operator::Conv(f) if O::SET.has_any(Set::CONV.with(Set::CONV_ODD).with(Set::POINTWISE)) => {
            super::conv::conv::<O>(f, operands)
        }
        Operator::Depthwise(f) if O::SET.has_any(Set::DEPTHWISE_PAIRS) => {
            super::depthwise::run::<O>(f, operands)
        }
        Operator::Dense(f) if O::SET.has(Set::DENSE) => super::dense::dense::<O>(f, operands),
        Operator::Mul(p) if O::SET.has(Set::MUL) => {
            // Factors beyond its forms are the portable kernel's.
            return super::squeeze_excite::mul_places::<O>(p, operands).then_some(true);
        }
        _ => false,
    };
    Some(ran)
}
