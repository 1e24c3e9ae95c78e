//! Int8 kernels, bit-exact with TensorFlow Lite's reference.
//!
//! One operator a file; this one only chooses. Kernels take their parameters, one or two inputs
//! and the output, and say whether they ran: a slice that is shorter than [`extents`] says leaves the
//! output unchanged. Accumulators are 32-bit and cannot overflow: the model's checks bound |bias| + 128 · 128 · taps.
//! [`isa`] says in which instructions the kernels are written, [`pairs`] and [`row_pairs`] are the
//! weight layouts that the chip's kernels read; the portable ones read them too, so that one file
//! serves host and chip.
//! `reference.rs` is the slow specification that every kernel is tested against.

pub mod add;
mod conv;
mod dense;
mod depthwise;
mod dot;
pub mod extents;
pub mod isa;
mod lookup;
pub mod m4;
pub(crate) mod mean;
pub mod operators;
pub mod pairs;
#[cfg(any(test, not(arm_dsp)))]
mod pointwise;
mod pool;
#[cfg(any(test, feature = "std"))]
pub mod reference;
pub mod row_pairs;
mod softmax;
mod squeeze_excite;

pub use add::{AddParams, add, add_doubled, add_in_place};
use conv::conv;
use dense::dense;
use depthwise::depthwise;
#[cfg(not(arm_dsp))]
use depthwise::depthwise_in_place;
#[cfg(feature = "std")]
pub(crate) use depthwise::depthwise_scratch;
pub use extents::Extents;
pub use isa::Isa;
pub use lookup::{lookup, lookup_in_place};
pub use m4::maps;
#[cfg(feature = "std")]
pub use mean::mean_multiplier;
pub use mean::{MeanParams, mean};
pub use operators::{Every, OperatorSet, Operators};
#[cfg(any(test, not(arm_dsp)))]
use pointwise::pointwise;
pub use pool::{PoolParams, average_pool, max_pool};
pub use softmax::{SoftmaxParams, softmax};
pub use squeeze_excite::{MulParams, mul, mul_in_place};

use pairs::{Mode, Pairs};
use row_pairs::{Claims, Form, RowPairs};

use crate::error::KernelError;
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
    /// A fused non-linearity: 256 entries, index is the int8 plus 128.
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
            Some(table) => table[usize::from(q as u8 ^ 0x80)] as i8,
            None => q as i8,
        }
    }
}

/// Parameters of convolution, depthwise convolution and dense layers. Only a parsed model has
/// them: kernels rely on what was checked then.
#[derive(Clone, Copy, Debug)]
pub struct Filter<'a> {
    /// Input map.
    pub(crate) input: Shape,
    /// Output map.
    pub(crate) output: Shape,
    /// Window; not looked at by dense layers.
    pub(crate) window: Window,
    /// Zero point of the input.
    pub(crate) input_zero_point: i32,
    /// Weights of an output channel.
    pub(crate) taps: usize,
    /// How `weights` is laid out.
    pub(crate) layout: Layout,
    /// Natural layout: int8 weights as bytes, `[out_ch][kh][kw][in_ch]` for conv,
    /// `[kh][kw][out_ch]` for depthwise, `[out][in]` for dense. Others: the layout's stream.
    pub(crate) weights: &'a [u8],
    /// Natural layout: bias and multiplier of each output channel. The bias has −zero_point · Σ weights folded
    /// in, so that sums run over w · x alone; a padded tap counts as w · zero_point.
    pub(crate) channels: ChannelQuant<'a>,
    /// Way of a sum to an int8.
    pub(crate) out: Output<'a>,
}

/// Orders of a layer's weights. The packer chooses; `FORMAT.md` has the codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Layout {
    /// As TensorFlow Lite has them, with channel records apart.
    Natural,
    /// Convolution and dense: the stream of [`pairs`].
    Pairs,
    /// The same for kernels that double their inputs ([`pairs::Mode::ReluDoubled`]).
    PairsDoubled,
    /// Depthwise: the words of [`row_pairs`].
    RowPairs(Form),
}

impl<'a> Filter<'a> {
    /// The weights as a stream of pairs, where they are one.
    pub(crate) fn pairs(&self) -> Option<Pairs<'a>> {
        let mode = match self.layout {
            Layout::Natural | Layout::RowPairs(_) => return None,
            Layout::PairsDoubled => Mode::ReluDoubled,
            Layout::Pairs if self.out.lookup.is_some() => Mode::Table,
            Layout::Pairs if self.out.zero_point == -128 => Mode::Relu,
            Layout::Pairs => Mode::General,
        };
        Some(Pairs::new(
            self.weights,
            self.taps,
            self.output.c,
            mode,
            self.out.zero_point,
        ))
    }

    /// The weights as row pairs, where they are such.
    pub(crate) fn row_pairs(&self) -> Option<RowPairs<'a>> {
        let Layout::RowPairs(form) = self.layout else {
            return None;
        };
        let claims = Claims {
            window: self.window,
            zero_point: self.out.zero_point,
        };
        Some(RowPairs::new(self.weights, form, claims))
    }

    /// Bias (input zero point folded in) and multiplier of output channel `c`, in any layout.
    #[inline]
    pub fn channel(&self, c: usize) -> (i32, Multiplier) {
        if let Some(pairs) = self.row_pairs() {
            return pairs.channel(c);
        }
        match self.pairs() {
            Some(pairs) => pairs.channel(c),
            None => self.channels.get(c),
        }
    }

    /// [`Filter::channel`] for the portable kernels of this build: on a chip with DSP instructions
    /// they run the natural layout only.
    #[inline(always)]
    pub(crate) fn portable_channel(&self, c: usize) -> (i32, Multiplier) {
        if cfg!(arm_dsp) {
            self.channels.get(c)
        } else {
            self.channel(c)
        }
    }

    /// Input map.
    pub fn input(&self) -> Shape {
        self.input
    }

    /// Output map.
    pub fn output(&self) -> Shape {
        self.output
    }

    /// Window; of no account for dense layers.
    pub fn window(&self) -> Window {
        self.window
    }

    /// Zero point of the input.
    pub fn input_zero_point(&self) -> i32 {
        self.input_zero_point
    }

    /// Weights of an output channel.
    pub fn taps(&self) -> usize {
        self.taps
    }

    /// How the weights are laid out.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Way of a sum to an int8.
    pub fn out(&self) -> Output<'a> {
        self.out
    }

    /// The weights in their natural layout.
    #[cfg(feature = "std")]
    pub fn natural_weights(&self) -> std::vec::Vec<u8> {
        if let Some(pairs) = self.row_pairs() {
            let mut weights = std::vec![0; self.taps * self.output.c];
            for c in 0..self.output.c {
                pairs.unpack(c, self.output.c, &mut weights[c..]);
            }
            return weights.into_iter().map(|w| w as u8).collect();
        }
        let Some(pairs) = self.pairs() else {
            return self.weights.to_vec();
        };
        let blocks = self.output.c.div_ceil(pairs::BLOCK);
        let mut rows = std::vec![0i8; pairs::BLOCK * self.taps];
        let mut all = std::vec::Vec::new();
        for block in 0..blocks {
            pairs.unpack(block, &mut rows);
            all.extend(rows.iter().map(|w| *w as u8));
        }
        all.truncate(self.taps * self.output.c);
        all
    }
}

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
        Operator::Depthwise(f) => depthwise::scratch(f),
        Operator::Mul(p) => 4 * m4::squeeze_excite::scratch_words(p.ch),
        _ => 0,
    }
}

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
    let ran = run_linked::<Every>(operator, input, second, output, scratch);
    ran.then_some(()).ok_or(KernelError)
}

/// [`run`] in a program that links the operators `O` only: whether it ran. Of this crate alone: `O` has
/// what the operator takes ([`OperatorSet::of`]), as the interpreter has seen to.
#[inline(never)]
#[must_use]
pub(crate) fn run_linked<O: Operators>(
    operator: &Operator<'_>,
    input: &[i8],
    second: &[i8],
    output: &mut [i8],
    scratch: &mut [i8],
) -> bool {
    use OperatorSet as Set;
    #[cfg(arm_dsp)]
    if O::SET.has_any(Set::KERNELS) && m4::run::is_candidate(operator) {
        let mut places = m4::run::Places {
            maps: maps::Maps::apart(input, output),
            other: second,
            which: 0,
            scratch,
        };
        if let Some(ran) = m4::run::run::<O>(operator, &mut places) {
            return ran;
        }
    }
    let has = |set| O::SET.portable().has_any(set);
    let filters = Set::CONV_NATURAL
        .with(Set::CONV)
        .with(Set::CONV_ODD)
        .with(Set::POINTWISE);
    match operator {
        // The chip's convolution knows 1x1 windows, and needs no second fallback.
        #[cfg(not(arm_dsp))]
        Operator::Conv(f)
            if f.window.is_pointwise() && has(Set::CONV_NATURAL.with(Set::POINTWISE)) =>
        {
            pointwise(f, input, output, scratch)
        }
        Operator::Conv(f) if has(filters) => conv::<O>(f, input, output, scratch),
        Operator::Depthwise(f) if has(Set::DEPTHWISE) => depthwise::<O>(f, input, output, scratch),
        Operator::Dense(f) if has(Set::DENSE.with(Set::DENSE_NATURAL)) => {
            dense::<O>(f, input, output)
        }
        Operator::AveragePool(p) if has(Set::AVERAGE_POOL) => average_pool(p, input, output),
        Operator::MaxPool(p) if has(Set::MAX_POOL) => max_pool(p, input, output),
        Operator::Mean(p) if has(Set::MEAN) => mean::mean_linked::<O>(p, input, output),
        Operator::Add(p) if has(Set::ADD.with(Set::ADD_PLAIN)) => {
            add::add_linked::<O>(p, input, second, output)
        }
        Operator::Mul(p) if has(Set::MUL.with(Set::MUL_PLAIN)) => {
            squeeze_excite::mul_linked::<O>(p, input, second, output)
        }
        Operator::Lookup(table) if has(Set::LOOKUP) => lookup(table, input, output),
        Operator::Softmax(p) if has(Set::SOFTMAX) => softmax(p, input, output),
        _ => false,
    }
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
    let ran = run_in_place_linked::<Every>(operator, replaced, map, other, scratch);
    ran.then_some(()).ok_or(KernelError)
}

/// [`run_in_place`] in a program that links the operators `O` only; as [`run_linked`].
#[inline(never)]
#[must_use]
pub(crate) fn run_in_place_linked<O: Operators>(
    operator: &Operator<'_>,
    replaced: usize,
    map: &mut [i8],
    other: &[i8],
    scratch: &mut [i8],
) -> bool {
    use OperatorSet as Set;
    #[cfg(arm_dsp)]
    if O::SET.has_any(Set::KERNELS) {
        let mut places = m4::run::Places {
            maps: maps::Maps::in_place(map),
            other,
            which: replaced,
            scratch,
        };
        if let Some(ran) = m4::run::run::<O>(operator, &mut places) {
            return ran;
        }
    }
    let has = |set| O::SET.portable().has_any(set);
    match operator {
        Operator::Add(p) if has(Set::ADD.with(Set::ADD_PLAIN)) => {
            add::add_in_place_linked::<O>(p, replaced, map, other)
        }
        Operator::Mul(p) if has(Set::MUL.with(Set::MUL_PLAIN)) => {
            squeeze_excite::mul_in_place_linked::<O>(p, map, other)
        }
        #[cfg(not(arm_dsp))]
        Operator::Depthwise(f) if has(Set::DEPTHWISE) => depthwise_in_place::<O>(f, map, scratch),
        Operator::Lookup(table) if has(Set::LOOKUP) => lookup_in_place(table, map),
        _ => false,
    }
}

#[cfg(all(test, feature = "std"))]
mod tests;
