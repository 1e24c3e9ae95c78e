//! The shapes of one depthwise convolution and of the maps that its loops read.

use crate::nn::kernels::normalize::Runs;
use pupil_core::op::shape::same_padding;

/// One depthwise convolution: kernel `[kernel*kernel, c]`, SAME padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Height and width of the input.
    pub input: (usize, usize),
    /// Height and width of the output.
    pub output: (usize, usize),
    /// Channels.
    pub c: usize,
    /// Height and width of the kernel.
    pub kernel: usize,
    /// In both directions.
    pub stride: usize,
    /// Zeros above and left of the input.
    pub before: (usize, usize),
}

impl Window {
    /// Over maps of `h` x `w` x `c`.
    pub fn same((h, w): (usize, usize), c: usize, kernel: usize, stride: usize) -> Self {
        Self {
            input: (h, w),
            output: (h.div_ceil(stride), w.div_ceil(stride)),
            c,
            kernel,
            stride,
            before: (
                same_padding(h, kernel, stride).0,
                same_padding(w, kernel, stride).0,
            ),
        }
    }

    /// Height and width of the input with its padding; large enough for every tap.
    pub fn padded(&self) -> (usize, usize) {
        let reach = |out: usize, len: usize, before: usize| {
            ((out - 1) * self.stride + self.kernel).max(before + len)
        };
        (
            reach(self.output.0, self.input.0, self.before.0),
            reach(self.output.1, self.input.1, self.before.1),
        )
    }

    /// Numbers of the padded input.
    pub fn padded_len(&self) -> usize {
        self.padded().0 * self.padded().1 * self.c
    }

    /// Where the input's rows lie in the padded input.
    pub fn padded_runs(&self) -> Runs {
        let stride = self.padded().1 * self.c;
        Runs {
            len: self.input.1 * self.c,
            stride,
            start: self.before.0 * stride + self.before.1 * self.c,
        }
    }

    /// Zeros before the output gradient, and its height and width with zeros on all sides.
    pub(super) fn around(&self) -> (usize, (usize, usize)) {
        let zeros = (self.kernel - 1).div_ceil(self.stride);
        let total = |out: usize, len: usize, before: usize| {
            // Input position len - 1 reads output (len - 1 + before) / stride.
            (out + 2 * zeros).max((len - 1 + before) / self.stride + zeros + 1)
        };
        (
            zeros,
            (
                total(self.output.0, self.input.0, self.before.0),
                total(self.output.1, self.input.1, self.before.1),
            ),
        )
    }

    /// Numbers of the output gradient with zeros around it.
    pub fn surrounded_len(&self) -> usize {
        let (_, (h, w)) = self.around();
        h * w * self.c
    }

    /// Where the output gradient's rows lie among the zeros.
    pub fn surrounded_runs(&self) -> Runs {
        let (zeros, (_, w)) = self.around();
        let stride = w * self.c;
        Runs {
            len: self.output.1 * self.c,
            stride,
            start: zeros * stride + zeros * self.c,
        }
    }

    /// Numbers of the output.
    pub fn output_len(&self) -> usize {
        self.output.0 * self.output.1 * self.c
    }

    /// Numbers of the input.
    pub fn input_len(&self) -> usize {
        self.input.0 * self.input.1 * self.c
    }
}
