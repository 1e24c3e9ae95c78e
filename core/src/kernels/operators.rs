//! Which kernels a program links.
//!
//! A program for one model knows its operators when it is compiled: `firmware/build.rs` writes the
//! model's [`OperatorSet`] into a type that implements [`Operators`], and the interpreter is
//! generic over it. Whatever the set leaves out is dead code. [`Every`] has all, for programs that
//! read models at run time.

use super::m4;
use super::row_pairs::{Form, Kernel};
use super::{Filter, Layout};
use crate::model::{Model, Operator};

/// A set of operators, told apart as far as their kernels are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct OperatorSet(u32);

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
    pub const ALL: Self = Self(u32::MAX);
    /// Convolution with weights in the natural layout.
    pub const CONV_NATURAL: Self = Self(1);
    /// Convolution in the pair layout, 1x1 with stride 1.
    pub const POINTWISE: Self = Self(1 << 1);
    /// Convolution in the pair layout, any other window.
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
    /// Layers that run together, a few rows at a time.
    pub const STREAM: Self = Self(1 << 25);
    /// Means over such rows.
    pub const STREAM_MEAN: Self = Self(1 << 26);

    /// The set with these bits, which [`OperatorSet::bits`] gave.
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The set as a number.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Both sets together.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
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
            Operator::Conv(f) if f.layout == Layout::Natural => Self::CONV_NATURAL,
            Operator::Conv(f) if f.window.is_pointwise() => Self::POINTWISE,
            Operator::Conv(_) => Self::CONV,
            Operator::Depthwise(f) => Self::of_depthwise(f),
            Operator::Dense(f) if f.layout == Layout::Natural => Self::DENSE_NATURAL,
            Operator::Dense(_) => Self::DENSE,
            Operator::AveragePool(_) => Self::AVERAGE_POOL,
            Operator::MaxPool(_) => Self::MAX_POOL,
            Operator::Mean(_) => Self::MEAN,
            Operator::Add(p) if p.table.is_some() => Self::ADD,
            Operator::Add(_) => Self::ADD_PLAIN,
            Operator::Mul(p) if m4::squeeze_excite::is_fast(p) => Self::MUL,
            Operator::Mul(_) => Self::MUL_PLAIN,
            Operator::Lookup(_) => Self::LOOKUP,
            Operator::Softmax(_) => Self::SOFTMAX,
        }
    }

    fn of_depthwise(f: &Filter<'_>) -> Self {
        let Layout::RowPairs(form) = f.layout else {
            return Self::DEPTHWISE_NATURAL;
        };
        let mut set = match form {
            Form::Blocks(kernel) => Self::of_kernel(kernel),
            Form::Any => Self::DEPTHWISE_ANY,
        };
        if f.output.c != f.input.c {
            set = set.with(Self::DEPTHWISE_MANY);
        }
        if f.input.c < 4 {
            set = set.with(Self::DEPTHWISE_NARROW);
        }
        if f.out.lookup.is_none() && (f.out.min, f.out.max) != (-128, 127) {
            set = set.with(Self::DEPTHWISE_CLAMP);
        }
        set
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

    /// What a model needs.
    pub fn of_model(model: &Model<'_>) -> Self {
        let sets = model.layers().map(|layer| Self::of(&layer.operator));
        let all = sets.fold(Self::NONE, Self::with);
        all.with(Self::of_streams(model))
    }

    /// What a model's streams need beside their layers.
    pub(crate) fn of_streams(model: &Model<'_>) -> Self {
        let streams = model.streams().map(|stream| {
            let mean = stream.links().any(|link| {
                let layer = model.layer(link.layer);
                layer.is_some_and(|l| matches!(l.operator, Operator::Mean(_)))
            });
            if mean {
                Self::STREAM.with(Self::STREAM_MEAN)
            } else {
                Self::STREAM
            }
        });
        streams.fold(Self::NONE, Self::with)
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
