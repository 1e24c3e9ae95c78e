//! Int8 kernels, bit-exact with TensorFlow Lite's reference.
//!
//! One operator a file; this one only chooses. Kernels take their parameters, one or two inputs
//! and the output; a slice shorter than its shape leaves the output unchanged. Accumulators are
//! 32-bit and cannot overflow: the model's checks bound |bias| + 128 · 128 · taps.
//! `reference.rs` is the slow specification that every kernel is tested against.

pub mod add;
mod conv;
mod dense;
mod depthwise;
mod dot;
mod lookup;
pub mod m4;
mod mean;
mod pointwise;
mod pool;
#[cfg(any(test, feature = "std"))]
pub mod reference;
mod softmax;
mod squeeze_excite;

pub use add::{AddParams, add, add_in_place};
pub use conv::conv;
pub use dense::dense;
pub use depthwise::depthwise;
pub use lookup::{lookup, lookup_in_place};
#[cfg(feature = "std")]
pub use mean::mean_multiplier;
pub use mean::{MeanParams, mean};
pub use pointwise::pointwise;
pub use pool::{PoolParams, average_pool, max_pool};
pub use softmax::{SoftmaxParams, softmax};
pub use squeeze_excite::{MulParams, mul, mul_in_place};

use crate::model::Operator;
use crate::quant::{ChannelQuant, Multiplier};
use crate::shape::{Shape, Window};

/// What happens to a sum on its way to an int8: requantize, add the zero point, clamp, table.
#[derive(Clone, Copy, Debug)]
pub struct Output<'a> {
    /// Zero point of the requantized value (before the table).
    pub zero_point: i32,
    /// Lower clamp.
    pub min: i32,
    /// Upper clamp.
    pub max: i32,
    /// A fused non-linearity: 256 entries, index is the int8 as u8.
    pub lookup: Option<&'a [u8; 256]>,
}

impl Output<'_> {
    /// The int8 of a sum.
    #[inline(always)]
    pub fn finish(&self, sum: i32, multiplier: Multiplier) -> i8 {
        let q = multiplier
            .apply(sum)
            .saturating_add(self.zero_point)
            .max(self.min)
            .min(self.max);
        match self.lookup {
            Some(table) => table[usize::from(q as u8)] as i8,
            None => q as i8,
        }
    }
}

/// Parameters of convolution, depthwise convolution and dense layers.
#[derive(Clone, Copy, Debug)]
pub struct Filter<'a> {
    /// Input map.
    pub input: Shape,
    /// Output map.
    pub output: Shape,
    /// Window; not looked at by dense layers.
    pub window: Window,
    /// Zero point of the input.
    pub input_zero_point: i32,
    /// int8 weights as bytes: `[out_ch][kh][kw][in_ch]` for conv, `[kh][kw][out_ch]` for
    /// depthwise, `[out][in]` for dense.
    pub weights: &'a [u8],
    /// Bias and multiplier of each output channel. The bias has −zero_point · Σ weights folded
    /// in, so that sums run over w · x alone; a padded tap counts as w · zero_point.
    pub channels: ChannelQuant<'a>,
    /// Way of a sum to an int8.
    pub out: Output<'a>,
}

/// Runs an operator from `input` (and `second`) to `output`, which do not overlap.
pub fn run(operator: &Operator<'_>, input: &[i8], second: &[i8], output: &mut [i8]) {
    match operator {
        Operator::Conv(f) if f.window.is_pointwise() => pointwise(f, input, output),
        Operator::Conv(f) => conv(f, input, output),
        Operator::Depthwise(f) => depthwise(f, input, output),
        Operator::Dense(f) => dense(f, input, output),
        Operator::AveragePool(p) => average_pool(p, input, output),
        Operator::MaxPool(p) => max_pool(p, input, output),
        Operator::Mean(p) => mean(p, input, output),
        Operator::Add(p) => add(p, input, second, output),
        Operator::Mul(p) => mul(p, input, second, output),
        Operator::Lookup(table) => lookup(table, input, output),
        Operator::Softmax(p) => softmax(p, input, output),
    }
}

/// Runs an operator that works in place: `map` is the input numbered `replaced` (0 or 1) and
/// becomes the output; `other` is the other input.
pub fn run_in_place(operator: &Operator<'_>, replaced: usize, map: &mut [i8], other: &[i8]) {
    match operator {
        Operator::Add(p) if replaced == 0 => add_in_place(p, map, other),
        Operator::Add(p) => add_in_place(&p.swapped(), map, other),
        Operator::Mul(p) => mul_in_place(p, map, other),
        Operator::Lookup(table) => lookup_in_place(table, map),
        _ => {}
    }
}

#[cfg(all(test, feature = "std"))]
mod tests;
