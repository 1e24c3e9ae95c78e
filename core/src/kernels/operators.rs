//! Which kernels a program links.
//!
//! A program for one model knows its operators when it is compiled: `firmware/build.rs` writes the
//! model's [`OperatorSet`] into a type that implements [`Operators`], and the interpreter is
//! generic over it. Whatever the set leaves out is dead code. [`Every`] has all, for programs that
//! read models at run time.

use super::arch::arm_dsp;
use crate::op::pairs::{self, Mode};
use crate::op::row_pairs::{Form, Kernel};
use crate::op::{Filter, Layout, MulParams, Operator};

/// A set of operators, told apart as far as their kernels are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct OperatorSet(u64);

/// The set of a program, as a type.
pub trait Operators {
    /// Operators whose kernels are linked.
    const SET: OperatorSet;
}

/// All operators.
#[derive(Clone, Copy, Debug)]
pub struct Every;

impl Operators for Every {
    const SET: OperatorSet = OperatorSet::ALL;
}

impl OperatorSet {
    /// No operator.
    pub const NONE: Self = Self(0);
    /// All operators.
    pub const ALL: Self = Self(u64::MAX);
    /// Convolution with weights in the natural layout.
    pub const CONV_NATURAL: Self = Self(1);
    /// Convolution in the pair layout, 1x1 with stride 1.
    pub const POINTWISE: Self = Self(1 << 1);
    /// Convolution in the pair layout, any other window, over pixels of whole words.
    pub const CONV: Self = Self(1 << 2);
    /// Depthwise convolution with weights in the natural layout.
    pub const DEPTHWISE_NATURAL: Self = Self(1 << 3);
    /// Depthwise convolution in row pairs with any window.
    pub const DEPTHWISE_ANY: Self = Self(1 << 4);
    /// Depthwise 3x3, stride 1, zero point at the lower clamp.
    pub const DEPTHWISE_3X3S1_FAST: Self = Self(1 << 5);
    /// Depthwise 3x3, stride 1.
    pub const DEPTHWISE_3X3S1: Self = Self(1 << 6);
    /// Depthwise 3x3, stride 2, zero point at the lower clamp.
    pub const DEPTHWISE_3X3S2_FAST: Self = Self(1 << 7);
    /// Depthwise 3x3, stride 2.
    pub const DEPTHWISE_3X3S2: Self = Self(1 << 8);
    /// Depthwise 5x5, stride 1, zero point at the lower clamp.
    pub const DEPTHWISE_5X5S1_FAST: Self = Self(1 << 9);
    /// Depthwise 5x5, stride 1.
    pub const DEPTHWISE_5X5S1: Self = Self(1 << 10);
    /// Depthwise convolution with several outputs a channel.
    pub const DEPTHWISE_MANY: Self = Self(1 << 11);
    /// Depthwise convolution of fewer than four channels.
    pub const DEPTHWISE_NARROW: Self = Self(1 << 12);
    /// Depthwise convolution with clamps of its own behind.
    pub const DEPTHWISE_CLAMP: Self = Self(1 << 13);
    /// Depthwise convolution by any of the block kernels.
    pub const DEPTHWISE_BLOCKS: Self = Self(0x3f << 5);
    /// Depthwise convolution in any form.
    pub const DEPTHWISE: Self = Self(0x7ff << 3);
    /// Dense layer with weights in the natural layout.
    pub const DENSE_NATURAL: Self = Self(1 << 14);
    /// Dense layer in the pair layout.
    pub const DENSE: Self = Self(1 << 15);
    /// Average pool.
    pub const AVERAGE_POOL: Self = Self(1 << 16);
    /// Max pool.
    pub const MAX_POOL: Self = Self(1 << 17);
    /// Mean.
    pub const MEAN: Self = Self(1 << 18);
    /// Addition with a table.
    pub const ADD: Self = Self(1 << 19);
    /// Addition without one.
    pub const ADD_PLAIN: Self = Self(1 << 20);
    /// Multiplication by a number a channel.
    pub const MUL: Self = Self(1 << 21);
    /// The same with factors beyond the fast form's.
    pub const MUL_PLAIN: Self = Self(1 << 22);
    /// Table.
    pub const LOOKUP: Self = Self(1 << 23);
    /// Softmax.
    pub const SOFTMAX: Self = Self(1 << 24);

    /// Convolution in the pair layout, any other window, over other pixels.
    pub const CONV_ODD: Self = Self(1 << 25);
    /// Convolutions in the pair layout whose zero point is their lower clamp.
    pub const CONV_RELU: Self = Self(1 << 26);
    /// The same with doubled inputs.
    pub const CONV_DOUBLED: Self = Self(1 << 27);
    /// Convolutions in the pair layout with any zero point.
    pub const CONV_GENERAL: Self = Self(1 << 28);
    /// Convolutions in the pair layout with a table behind.
    pub const CONV_TABLE: Self = Self(1 << 29);
    /// Convolutions over rows of eights.
    pub const CONV_EIGHTS: Self = Self(1 << 30);
    /// Convolutions over rows of whole words.
    pub const CONV_WORDS: Self = Self(1 << 31);
    /// Convolutions over rows of any bytes.
    pub const CONV_BYTES: Self = Self(1 << 32);
    /// 3x3 convolutions of three channels.
    pub const CONV_THREE: Self = Self(1 << 33);
    /// Dense layers in the pair layout whose zero point is their lower clamp.
    pub const DENSE_RELU: Self = Self(1 << 34);
    /// Dense layers in the pair layout with any zero point.
    pub const DENSE_GENERAL: Self = Self(1 << 35);
    /// Dense layers in the pair layout with a table behind.
    pub const DENSE_TABLE: Self = Self(1 << 36);

    /// Addition with a table and narrow clamps.
    pub const ADD_CLAMP: Self = Self(1 << 37);
    /// Multiplication whose zero point is its lower clamp.
    pub const MUL_FAST: Self = Self(1 << 38);
    /// Multiplication with any zero point.
    pub const MUL_AWAY: Self = Self(1 << 39);
    /// Multiplication of channels that are not in fours.
    pub const MUL_ODD: Self = Self(1 << 40);
    /// Multiplication with narrow clamps.
    pub const MUL_CLAMP: Self = Self(1 << 41);
    /// Mean of fewer than 16 channels, or of channels that are not in fours.
    pub const MEAN_ODD: Self = Self(1 << 42);
    /// Layers that run together, a few rows at a time.
    pub const STREAM: Self = Self(1 << 43);
    /// Means over such rows.
    pub const STREAM_MEAN: Self = Self(1 << 44);
    /// Convolutions in the pair layout of channels that are not in fours.
    pub const CONV_REST: Self = Self(1 << 45);

    /// Convolutions in the pair layout.
    pub const CONV_PACKED: Self = Self::CONV.with(Self::CONV_ODD).with(Self::POINTWISE);
    /// Depthwise convolution in row pairs.
    pub const DEPTHWISE_PAIRS: Self = Self(0x7f << 4);
    /// The set with these bits, which [`OperatorSet::bits`] gave.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The set as a number.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Both sets together.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The set with `other` in it if `there`.
    pub(crate) const fn and(self, there: bool, other: Self) -> Self {
        if there { self.with(other) } else { self }
    }

    /// The set without `other`.
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether all of `other` is in the set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any of `other` is in the set.
    pub const fn has_any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// What one operator needs.
    pub fn of(operator: &Operator<'_>) -> Self {
        match operator {
            Operator::Conv(f) => Self::of_conv(f),
            Operator::Depthwise(f) => Self::of_depthwise(f),
            Operator::Dense(f) => match f.pairs() {
                None => Self::DENSE_NATURAL,
                Some(pairs) => Self::DENSE.with(match pairs.mode {
                    Mode::Relu | Mode::ReluDoubled => Self::DENSE_RELU,
                    Mode::General => Self::DENSE_GENERAL,
                    Mode::Table => Self::DENSE_TABLE,
                }),
            },
            Operator::AveragePool(_) => Self::AVERAGE_POOL,
            Operator::MaxPool(_) => Self::MAX_POOL,
            Operator::Mean(p) => Self::MEAN.and(
                p.input.c < 16 || !p.input.c.is_multiple_of(4),
                Self::MEAN_ODD,
            ),
            Operator::Add(p) if p.table.is_some() => {
                Self::ADD.and((p.min, p.max) != (-128, 127), Self::ADD_CLAMP)
            }
            Operator::Add(_) => Self::ADD_PLAIN,
            Operator::Mul(p) => Self::of_mul(p),
            Operator::Lookup(_) => Self::LOOKUP,
            Operator::Softmax(_) => Self::SOFTMAX,
        }
    }

    fn of_mul(p: &MulParams) -> Self {
        let Some(fast) = arm_dsp::mul_form(p) else {
            return Self::MUL_PLAIN;
        };
        let form = if fast { Self::MUL_FAST } else { Self::MUL_AWAY };
        Self::MUL
            .with(form)
            .and(!p.ch.is_multiple_of(4), Self::MUL_ODD)
            .and((p.min, p.max) != (-128, 127), Self::MUL_CLAMP)
    }

    fn of_conv(f: &Filter<'_>) -> Self {
        let Some(pairs) = f.pairs() else {
            return Self::CONV_NATURAL;
        };
        let (whole, run) = (f.input.c.is_multiple_of(4), f.window.kernel_w * f.input.c);
        let point = f.window.is_pointwise();
        let mode = match pairs.mode {
            Mode::Relu => Self::CONV_RELU,
            Mode::ReluDoubled => Self::CONV_DOUBLED,
            Mode::General => Self::CONV_GENERAL,
            Mode::Table => Self::CONV_TABLE,
        };
        let window = match (point, whole) {
            (true, _) => Self::POINTWISE,
            (_, true) => Self::CONV,
            // Columns at the border are gathered, then they are whole words.
            (_, false) => Self::CONV_ODD.with(Self::CONV_WORDS),
        };
        // See `way` in `arm_dsp/conv.rs`.
        let rows = if pairs.mode == Mode::ReluDoubled {
            Self::NONE
        } else if whole && run.is_multiple_of(8) {
            Self::CONV_EIGHTS
        } else if run.is_multiple_of(4) {
            Self::CONV_WORDS
        } else if run == 9 && f.taps == 27 {
            Self::CONV_THREE.with(Self::CONV_BYTES)
        } else {
            Self::CONV_WORDS.with(Self::CONV_BYTES)
        };
        let rest = !f.output.c.is_multiple_of(pairs::BLOCK);
        mode.with(window).with(rows).and(rest, Self::CONV_REST)
    }

    fn of_depthwise(f: &Filter<'_>) -> Self {
        let Layout::RowPairs(form) = f.layout else {
            return Self::DEPTHWISE_NATURAL;
        };
        let set = match form {
            Form::Blocks(kernel) => Self::of_kernel(kernel),
            Form::Any => Self::DEPTHWISE_ANY,
        };
        let clamped = f.out.lookup.is_none() && (f.out.min, f.out.max) != (-128, 127);
        set.and(f.output.c != f.input.c, Self::DEPTHWISE_MANY)
            .and(f.input.c < 4, Self::DEPTHWISE_NARROW)
            .and(clamped, Self::DEPTHWISE_CLAMP)
    }

    /// The block kernel of a depthwise layer.
    pub const fn of_kernel(kernel: Kernel) -> Self {
        match kernel {
            Kernel::K3S1 { fast: true } => Self::DEPTHWISE_3X3S1_FAST,
            Kernel::K3S1 { fast: false } => Self::DEPTHWISE_3X3S1,
            Kernel::K3S2 { fast: true } => Self::DEPTHWISE_3X3S2_FAST,
            Kernel::K3S2 { fast: false } => Self::DEPTHWISE_3X3S2,
            Kernel::K5S1 { fast: true } => Self::DEPTHWISE_5X5S1_FAST,
            Kernel::K5S1 { fast: false } => Self::DEPTHWISE_5X5S1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_depthwise_form_is_depthwise() {
        let forms = [
            OperatorSet::DEPTHWISE_NATURAL,
            OperatorSet::DEPTHWISE_ANY,
            OperatorSet::of_kernel(Kernel::K3S1 { fast: true }),
            OperatorSet::of_kernel(Kernel::K3S1 { fast: false }),
            OperatorSet::of_kernel(Kernel::K3S2 { fast: true }),
            OperatorSet::of_kernel(Kernel::K3S2 { fast: false }),
            OperatorSet::of_kernel(Kernel::K5S1 { fast: true }),
            OperatorSet::of_kernel(Kernel::K5S1 { fast: false }),
            OperatorSet::DEPTHWISE_MANY,
            OperatorSet::DEPTHWISE_NARROW,
            OperatorSet::DEPTHWISE_CLAMP,
        ];
        let all = forms.into_iter().fold(OperatorSet::NONE, OperatorSet::with);
        assert_eq!(all, OperatorSet::DEPTHWISE);
        for other in [OperatorSet::CONV, OperatorSet::DENSE_NATURAL] {
            assert!(!OperatorSet::DEPTHWISE.has_any(other));
        }
    }
}
