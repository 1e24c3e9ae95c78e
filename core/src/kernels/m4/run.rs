//! Which micro-kernel runs an operator, and the checks that all of them need.

use super::maps::Maps;
use crate::kernels::{Layout, OperatorSet as Set, Operators, scratch_len};
use crate::model::Operator;

/// What an operator reads and writes.
#[derive(Debug)]
pub struct Places<'a> {
    /// Input and output.
    pub maps: Maps<'a>,
    /// The other input.
    pub other: &'a [i8],
    /// Which input `maps` has: 0 or 1, or 2 where it is both.
    pub which: usize,
    /// Scratch memory.
    pub scratch: &'a mut [i8],
}

/// Whether an operator may have a kernel here: the answer costs little.
#[inline(always)]
pub fn is_candidate(operator: &Operator<'_>) -> bool {
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
pub(in crate::kernels) fn run<O: Operators>(
    operator: &Operator<'_>,
    places: &mut Places<'_>,
) -> Option<bool> {
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
            return Some(O::SET.has(Set::ADD) && super::add::add::<O>(p, places));
        }
        Operator::Mul(p) => (0, 0, 0, p.ch),
        _ => return None,
    };
    let ([input_len, output_len], scratch) = (places.maps.lens(), &places.scratch);
    let (input, _) = places.maps.places();
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
        let second = places
            .other
            .len()
            .max(if places.which == 2 { input_len } else { 0 });
        assert!(extents.fit(input_len, second, output_len, places.scratch.len()));
    }
    let ran = match operator {
        Operator::Conv(f) if O::SET.has_any(Set::CONV.with(Set::CONV_ODD).with(Set::POINTWISE)) => {
            super::conv::conv::<O>(f, places)
        }
        Operator::Depthwise(f) if O::SET.has_any(Set::DEPTHWISE_PAIRS) => {
            super::depthwise::run::<O>(f, places)
        }
        Operator::Dense(f) if O::SET.has(Set::DENSE) => super::dense::dense::<O>(f, places),
        Operator::Mul(p) if O::SET.has(Set::MUL) => {
            // Factors beyond its forms are the portable kernel's.
            return super::squeeze_excite::mul_places::<O>(p, places).then_some(true);
        }
        _ => false,
    };
    Some(ran)
}
