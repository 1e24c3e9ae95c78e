//! Sizes of maps and TensorFlow's padding, defined once for trainer, planner and kernels.

/// Height, width and channels of an NHWC map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Shape {
    /// Rows.
    pub h: usize,
    /// Columns.
    pub w: usize,
    /// Channels.
    pub c: usize,
}

impl Shape {
    /// `h` x `w` x `c`.
    pub const fn new(h: usize, w: usize, c: usize) -> Self {
        Self { h, w, c }
    }

    /// Values in the map; those of a parsed model's maps fit.
    pub const fn len(&self) -> usize {
        self.h * self.w * self.c
    }

    /// [`Shape::len`] where it may exceed a `usize`: 64 bits, saturated.
    pub const fn volume(&self) -> u64 {
        (self.h as u64)
            .saturating_mul(self.w as u64)
            .saturating_mul(self.c as u64)
    }

    /// Whether the map has no values.
    pub const fn is_empty(&self) -> bool {
        self.h == 0 || self.w == 0 || self.c == 0
    }
}

/// TensorFlow's SAME padding along one axis: `(before, after)`.
///
/// out = ⌈input / stride⌉, total = max(0, (out − 1) stride + kernel − input); the odd pixel goes
/// after. Stride 0 counts as 1.
///
/// ```
/// use pupil_core::op::shape::same_padding;
/// assert_eq!(same_padding(28, 3, 2), (0, 1)); // asymmetric: PyTorch's (1, 1) is another function
/// assert_eq!(same_padding(7, 5, 1), (2, 2));
/// ```
pub const fn same_padding(input: usize, kernel: usize, stride: usize) -> (usize, usize) {
    let stride = if stride == 0 { 1 } else { stride };
    let out = input.div_ceil(stride);
    let total = (out.saturating_sub(1) * stride + kernel).saturating_sub(input);
    (total / 2, total - total / 2)
}

/// The window of a convolution or pooling; padding below and to the right follows from the
/// output's size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// Rows under the window.
    pub kernel_h: usize,
    /// Columns under the window.
    pub kernel_w: usize,
    /// Rows between outputs.
    pub stride_h: usize,
    /// Columns between outputs.
    pub stride_w: usize,
    /// Rows above the image under the first window.
    pub pad_top: usize,
    /// Columns left of the image under the first window.
    pub pad_left: usize,
}

impl Window {
    /// One pixel, stride 1.
    pub fn is_pointwise(&self) -> bool {
        self.kernel_h == 1 && self.kernel_w == 1 && self.stride_h == 1 && self.stride_w == 1
    }

    /// A square window with SAME padding on an `h` x `w` image.
    pub const fn same(h: usize, w: usize, kernel: usize, stride: usize) -> Self {
        Self {
            kernel_h: kernel,
            kernel_w: kernel,
            stride_h: stride,
            stride_w: stride,
            pad_top: same_padding(h, kernel, stride).0,
            pad_left: same_padding(w, kernel, stride).0,
        }
    }

    /// A window over the whole image, without padding.
    pub const fn global(h: usize, w: usize) -> Self {
        Self {
            kernel_h: h,
            kernel_w: w,
            stride_h: 1,
            stride_w: 1,
            pad_top: 0,
            pad_left: 0,
        }
    }

    /// The taps of output row `y` that lie inside an image of `h` rows.
    #[inline(always)]
    pub fn rows(&self, y: usize, h: usize) -> core::ops::Range<usize> {
        taps(y * self.stride_h, self.kernel_h, self.pad_top, h)
    }

    /// The taps of output column `x` that lie inside an image of `w` columns.
    #[inline(always)]
    pub fn columns(&self, x: usize, w: usize) -> core::ops::Range<usize> {
        taps(x * self.stride_w, self.kernel_w, self.pad_left, w)
    }
}

#[inline(always)]
fn taps(start: usize, kernel: usize, pad: usize, len: usize) -> core::ops::Range<usize> {
    let first = pad.saturating_sub(start);
    let end = (len + pad).saturating_sub(start).min(kernel);
    first..end.max(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_padding_covers_even_and_odd_sizes_and_strides_one_to_three() {
        // (input, kernel, stride) → (before, after), by TensorFlow's formula.
        for (case, expected) in [
            ((4, 3, 2), (0, 1)),
            ((5, 3, 2), (1, 1)),
            ((4, 3, 1), (1, 1)),
            ((7, 5, 3), (2, 2)),
            ((8, 5, 3), (1, 2)),
            ((9, 3, 3), (0, 0)),
            ((1, 5, 1), (2, 2)),
            ((10, 1, 2), (0, 0)),
        ] {
            assert_eq!(same_padding(case.0, case.1, case.2), expected, "{case:?}");
        }
    }

    #[test]
    fn taps_stay_inside_the_image() {
        for h in 1..9usize {
            for kernel in 1..6 {
                for stride in 1..4 {
                    let window = Window::same(h, h, kernel, stride);
                    for y in 0..h.div_ceil(stride) {
                        let rows = window.rows(y, h);
                        // A kernel smaller than its stride may miss the image's last row.
                        assert!(!rows.is_empty() || kernel < stride);
                        for k in rows {
                            assert!((y * stride + k).checked_sub(window.pad_top).unwrap() < h);
                        }
                    }
                }
            }
        }
    }
}
