//! Convolution, depthwise convolution and dense layers: shapes, weights and requantization.

use super::pairs::{Mode, Pairs};
use super::quant::{ChannelQuant, Multiplier};
use super::row_pairs::{Claims, Form, RowPairs};
use super::shape::{Shape, Window};

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
    pub fn pairs(&self) -> Option<Pairs<'a>> {
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
    pub fn row_pairs(&self) -> Option<RowPairs<'a>> {
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

    /// The packed weights: natural, or the layout's stream.
    pub fn weights(&self) -> &'a [u8] {
        self.weights
    }

    /// How the weights are laid out.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Way of a sum to an int8.
    pub fn out(&self) -> Output<'a> {
        self.out
    }
}
