//! Which columns a call computes, and where their outputs go.

use super::border::Border;

/// Which bytes of the input are columns, and where their outputs go.
#[derive(Clone, Copy, Debug)]
pub struct Columns {
    /// First byte of the first column.
    pub input: usize,
    /// Bytes from a column to the next.
    pub step: usize,
    /// Rows of a column.
    pub rows: usize,
    /// Bytes of a row; all rows together, from `first_tap` on, are taps of the filter.
    pub run: usize,
    /// Bytes from a row to the next.
    pub pitch: usize,
    /// Tap that the first row begins with.
    pub first_tap: usize,
    /// Columns; an odd last one costs as much as two.
    pub count: usize,
    /// First byte of the first column's output; the others follow.
    pub output: usize,
}

/// Rows of outputs that differ in their places only.
#[derive(Clone, Copy, Debug)]
pub struct Lines {
    /// How many.
    pub count: usize,
    /// Bytes from a row's first input byte to the next row's.
    pub input: usize,
    /// Bytes from a row's first output byte to the next row's.
    pub output: usize,
}

impl Lines {
    /// One row.
    pub const ONE: Self = Self {
        count: 1,
        input: 0,
        output: 0,
    };

    /// Ends of the last row's input and output, from those of the first.
    pub(super) fn ends(&self, input: usize, output: usize) -> Option<(usize, usize)> {
        let more = self.count.checked_sub(1)?;
        let input = more.checked_mul(self.input)?.checked_add(input)?;
        let output = more.checked_mul(self.output)?.checked_add(output)?;
        Some((input, output))
    }
}

/// Two columns at the border of the image, or a single one twice.
#[derive(Clone, Copy, Debug)]
pub struct BorderPair {
    /// What lies under them.
    pub borders: [Border; 2],
    /// Their first bytes inside the image.
    pub from: [usize; 2],
    /// First bytes of their outputs.
    pub outputs: [usize; 2],
}
