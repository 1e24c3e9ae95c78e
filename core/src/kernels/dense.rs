//! Fully connected layer.

use super::Filter;
use super::pointwise::row;

/// `input` (flattened) to `output [out]`; weights `[out][in]`.
pub fn dense(f: &Filter<'_>, input: &[i8], output: &mut [i8]) {
    if let (Some(x), Some(y)) = (input.get(..f.input.len()), output.get_mut(..f.output.len())) {
        row(f, x, y);
    }
}
