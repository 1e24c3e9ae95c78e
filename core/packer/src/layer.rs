//! What a layer is made of.

use pupil_core::op::quant::{Affine, Multiplier};
use pupil_core::op::shape::{Shape, Window, same_padding};

/// A tensor of a model that is being built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TensorId(pub(crate) usize);

impl TensorId {
    /// Its number in the model: 0 is the input, layer i writes tensor i + 1.
    pub fn index(self) -> usize {
        self.0
    }
}

/// Bias (without the input's zero point) and multiplier of an output channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channel {
    /// In units of input scale times weight scale.
    pub bias: i32,
    /// Input scale times weight scale over output scale.
    pub multiplier: Multiplier,
}

/// Where a window begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pad {
    /// TensorFlow's SAME; the output is ⌈input / stride⌉.
    Same,
    /// Given rows above and columns to the left, and output height and width.
    Explicit {
        /// Rows above the image.
        top: usize,
        /// Columns left of the image.
        left: usize,
        /// Output rows.
        h: usize,
        /// Output columns.
        w: usize,
    },
}

/// A non-linearity fused behind a layer as a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Fused {
    /// Index is the requantized int8 as u8.
    pub table: [u8; 256],
    /// Scale and zero point behind the table.
    pub out: Affine,
}

/// A convolution or dense layer to add.
#[derive(Clone, Debug, PartialEq)]
pub struct Conv {
    /// Kernel height and width.
    pub kernel: (usize, usize),
    /// Stride down and right.
    pub stride: (usize, usize),
    /// Padding.
    pub pad: Pad,
    /// int8 as bytes: `[out_ch][kh][kw][in_ch]`; dense `[out][in]`.
    pub weights: Vec<u8>,
    /// One entry per output channel.
    pub channels: Vec<Channel>,
    /// Scale and zero point that the sums are requantized to.
    pub out: Affine,
    /// Clamps of the requantized value: (−128, 127) for none.
    pub act: (i8, i8),
    /// A table behind the clamps.
    pub fused: Option<Fused>,
}

/// A depthwise convolution: as [`Conv`], weights `[kh][kw][out_ch]`.
pub type Depthwise = Conv;

impl Conv {
    /// A dense layer without activation.
    pub fn dense(weights: Vec<u8>, channels: Vec<Channel>, out: Affine) -> Self {
        Self {
            kernel: (1, 1),
            stride: (1, 1),
            pad: Pad::Same,
            weights,
            channels,
            out,
            act: (-128, 127),
            fused: None,
        }
    }
}

/// A pooling to add.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Window height and width.
    pub kernel: (usize, usize),
    /// Stride down and right.
    pub stride: (usize, usize),
    /// Padding.
    pub pad: Pad,
    /// Clamps.
    pub act: (i8, i8),
}

/// The window and the output's height and width.
pub(crate) fn window(
    input: Shape,
    kernel: (usize, usize),
    stride: (usize, usize),
    padding: Pad,
) -> (Window, usize, usize) {
    let (top, left, h, w) = match padding {
        Pad::Same => (
            same_padding(input.h, kernel.0, stride.0).0,
            same_padding(input.w, kernel.1, stride.1).0,
            input.h.div_ceil(stride.0.max(1)),
            input.w.div_ceil(stride.1.max(1)),
        ),
        Pad::Explicit { top, left, h, w } => (top, left, h, w),
    };
    let window = Window {
        kernel_h: kernel.0,
        kernel_w: kernel.1,
        stride_h: stride.0,
        stride_w: stride.1,
        pad_top: top,
        pad_left: left,
    };
    (window, h, w)
}
