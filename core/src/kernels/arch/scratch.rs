//! Scratch memory of an operator: as much as the kernels of every instruction set need, so that one
//! packed model serves the chip and the host.

use super::{arm_dsp, portable};
use crate::op::row_pairs::Form;
use crate::op::shape::{Shape, Window};
use crate::op::{Layout, Operator, pairs};

/// Scratch bytes that an operator's kernels want, on any instruction set. Without them nothing runs;
/// nor, on a chip with DSP instructions, where scratch memory, maps or packed weights do not begin at a
/// multiple of 4. The interpreter sees to both.
pub fn scratch_len(operator: &Operator<'_>) -> usize {
    match operator {
        Operator::Conv(f) if f.layout != Layout::Natural => {
            let whole = f.window.kernel_h * f.window.kernel_w == 1 && f.input.c.is_multiple_of(4);
            pairs::conv_scratch(f.taps, whole)
        }
        Operator::Dense(f) if f.layout != Layout::Natural => pairs::dense_scratch(f.taps),
        Operator::Depthwise(f) => match f.layout {
            Layout::RowPairs(form) => depthwise_scratch(form, &f.window, f.input, f.output),
            _ => 0,
        },
        Operator::Mul(p) => 4 * arm_dsp::mul_scratch_words(p.ch),
        _ => 0,
    }
}

/// Scratch bytes of a depthwise layer in the row-pair layout.
pub const fn depthwise_scratch(form: Form, w: &Window, input: Shape, output: Shape) -> usize {
    let chip = 4 * arm_dsp::depthwise_scratch_words(form, w, output);
    let portable = portable::depthwise_scratch(w, input);
    if chip > portable { chip } else { portable }
}
