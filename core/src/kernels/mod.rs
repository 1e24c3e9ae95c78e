//! Int8 kernels, bit-exact with TensorFlow Lite's reference.
//!
//! One operator a file; this one only chooses. Kernels take their parameters, one or two inputs
//! and the output, and say whether they ran: a slice that is shorter than [`extents`] says leaves the
//! output unchanged. Accumulators are 32-bit and cannot overflow: the model's checks bound |bias| + 128 · 128 · taps.
//! [`isa`] says in which instructions the kernels are written. The portable kernels read the weight
//! layouts of the chip's kernels too ([`op::pairs`](crate::op::pairs),
//! [`op::row_pairs`](crate::op::row_pairs)), so that one file serves host and chip.
//! `reference.rs` is the slow specification that every kernel is tested against.

pub mod arch;
mod extents;
mod operators;
pub mod reference;
#[cfg(test)]
mod tests;

pub use arch::Isa;
pub(crate) use arch::operands::Operands;
pub use arch::scratch::{depthwise_scratch, scratch_len};
pub use extents::Extents;
pub use operators::{Every, OperatorSet, Operators};

use crate::error::KernelError;
use crate::op::Operator;

/// Runs an operator from `input` (and `second`) to `output`; these and the [`scratch_len`] bytes of
/// `scratch` do not overlap.
///
/// # Errors
/// Operands whose sizes are not the operator's [`Extents`], or that are misaligned for the chip's
/// kernels. Nothing is written then.
#[inline(always)]
pub fn run(
    operator: &Operator<'_>,
    input: &[i8],
    second: &[i8],
    output: &mut [i8],
    scratch: &mut [i8],
) -> Result<(), KernelError> {
    let mut operands = Operands::apart(input, second, output, scratch);
    let ran = run_linked::<Every>(operator, &mut operands);
    ran.then_some(()).ok_or(KernelError)
}

/// Runs an operator in a program that links the operators `O` only: whether it ran. Of this crate
/// alone: `O` has what the operator takes ([`OperatorSet::of`]), as the interpreter has seen to.
#[inline(never)]
#[must_use]
pub(crate) fn run_linked<O: Operators>(
    operator: &Operator<'_>,
    operands: &mut Operands<'_>,
) -> bool {
    arch::current::run::<O>(operator, operands)
}

/// Runs an operator that works in place: `map` is the input numbered `replaced` (0 or 1) and
/// becomes the output; `other` is the other input.
///
/// # Errors
/// As [`run`], and an operator that does not [work in place](Operator::works_in_place).
#[inline(always)]
pub fn run_in_place(
    operator: &Operator<'_>,
    replaced: usize,
    map: &mut [i8],
    other: &[i8],
    scratch: &mut [i8],
) -> Result<(), KernelError> {
    let mut operands = Operands::in_place(replaced, map, other, scratch);
    let ran = run_linked::<Every>(operator, &mut operands);
    ran.then_some(()).ok_or(KernelError)
}
