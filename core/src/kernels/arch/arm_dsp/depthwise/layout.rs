//! What driver, micro-kernels and their portable implementation agree on: blocks and pair rows.

use crate::op::row_pairs::Kernel;
use crate::op::shape::Shape;

/// Channels whose pair words lie side by side.
pub const GROUP: usize = 4;

/// Pair rows that the sliding base may run ahead before the live ones move back to the start.
pub(super) const SLACK: usize = 8;

// Where two pair rows move back one after the other, the first finds its place in what the other
// does not read: places of one row are whole pitches apart.
const _: () = assert!((32 * (SLACK + 1)).is_multiple_of(Kernel::K5S1 { fast: false }.pitch()));

/// What a block kernel reads, beside what `row_pairs.rs` says of its words.
impl Kernel {
    /// Rows and columns of the window.
    pub const fn side(self) -> usize {
        match self {
            Self::K3S1 { .. } | Self::K3S2 { .. } => 3,
            Self::K5S1 { .. } => 5,
        }
    }

    /// Rows and columns between outputs.
    pub const fn stride(self) -> usize {
        match self {
            Self::K3S2 { .. } => 2,
            Self::K3S1 { .. } | Self::K5S1 { .. } => 1,
        }
    }

    /// Pair rows that one step (two output rows) reads.
    pub const fn live(self) -> usize {
        match self {
            Self::K3S1 { .. } => 2,
            Self::K3S2 { .. } | Self::K5S1 { .. } => 3,
        }
    }

    /// Pair rows from one step to the next.
    pub const fn advance(self) -> usize {
        self.stride()
    }

    /// Bytes from one column pair to the next.
    pub const fn pitch(self) -> usize {
        32 * self.live()
    }

    /// Bytes from one block to the next.
    pub const fn block_bytes(self) -> usize {
        self.pitch() * self.stride()
    }

    /// Column pairs of the pair rows for `out_w` output columns, an odd last one rounded up.
    pub const fn column_pairs(self, out_w: usize) -> usize {
        let columns = (out_w.next_multiple_of(2) - 1) * self.stride() + self.side();
        columns.div_ceil(2)
    }

    /// Pair rows from the first base to the last one before the rows move back.
    pub const fn slack(self, out_h: usize) -> usize {
        let all = out_h.div_ceil(2) * self.advance();
        if all < SLACK { all } else { SLACK }
    }

    /// Words of scratch for an output of `out_h` by `out_w`.
    pub const fn scratch_words(self, out_h: usize, out_w: usize) -> usize {
        (self.column_pairs(out_w) * self.pitch() + 32 * self.slack(out_h)) / 4
    }
}

/// How one pair row is made of image rows and padding. The assembly reads the first four words.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Expand {
    /// Bytes between pixels.
    pub channels: usize,
    /// The input's zero point in both halves.
    pub zero_pair: u32,
    /// What is not whole pairs of the image, from the highest bit on: a 1 for each pair of padding
    /// before it, 0; 1 if a pair of padding and image comes next, else 0; behind the whole pairs 1 if
    /// there is a pair of image and padding, else 0; a 1 for each pair of padding at the end, 0.
    pub edges: u32,
    /// Bytes from one column pair to the next: the low half of a word.
    pub pitch: u16,
    /// Column pairs of the image: the high half of that word.
    pub whole: u16,
    /// Columns of padding before the image, columns of the image, and pairs of both and what is
    /// behind.
    pub columns: [usize; 3],
}

impl Expand {
    /// `pairs` column pairs, `pitch` bytes apart, that begin `pad_left` columns left of an image of
    /// this shape. Of windows of up to five columns, padding is a few pairs: `edges` has room.
    #[inline(always)]
    pub fn new(input: Shape, zero_point: i32, pad_left: usize, pairs: usize, pitch: usize) -> Self {
        let columns = (2 * pairs).saturating_sub(pad_left).min(input.w);
        let half_before = pad_left % 2 * usize::from(columns > 0);
        let rest = columns - half_before;
        let (before, whole, half_after) = (pad_left / 2, rest / 2, rest % 2);
        let after = pairs.saturating_sub(before + half_before + whole + half_after);
        // Ones from the lowest bit on, under a zero.
        let ones = |n: usize| 1u32.wrapping_shl(n as u32) - 1;
        let mut edges = ones(before) << 2 | half_before as u32;
        edges = edges << 1 | half_after as u32;
        let edges = edges.wrapping_shl(after as u32) | ones(after);
        Self {
            channels: input.c,
            zero_pair: zero_pair(zero_point),
            edges: edges.wrapping_shl(29u32.wrapping_sub((before + after) as u32)),
            pitch: pitch as u16,
            whole: whole as u16, // sides of maps are 16 bits
            columns: [pad_left, columns, pairs],
        }
    }
}

/// How one planar pair row (see `any.rs`) is made of image rows and padding.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Planar {
    /// Bytes between pixels.
    pub channels: usize,
    /// The input's zero point in both halves.
    pub zero_pair: u32,
    /// Columns of padding before the image.
    pub before: usize,
    /// Columns of the image.
    pub inside: usize,
    /// Columns of padding behind it.
    pub after: usize,
}

impl Planar {
    /// `columns` columns that begin `pad_left` columns left of an image of this shape.
    #[inline(always)]
    pub fn new(input: Shape, zero_point: i32, pad_left: usize, columns: usize) -> Self {
        let inside = columns.saturating_sub(pad_left).min(input.w);
        Self {
            channels: input.c,
            zero_pair: zero_pair(zero_point),
            before: pad_left,
            inside,
            after: columns.saturating_sub(pad_left + inside),
        }
    }
}

/// A zero point in both halves.
fn zero_pair(zero_point: i32) -> u32 {
    (zero_point as u32 & 0xffff) * 0x1_0001
}

/// Blocks of one step: of the columns in twos, or of a single last one.
#[cfg(not(arm_dsp))]
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// Blocks of two columns.
    pub blocks: usize,
    /// Bytes between output columns; 0 where the second one does not exist.
    pub column: usize,
    /// Bytes between output rows.
    pub row: usize,
}

#[cfg(not(arm_dsp))]
impl Run {
    /// The blocks of `w` columns of `c` channels, and the block of an odd last column.
    pub fn of(w: usize, c: usize) -> [Self; 2] {
        let run = |blocks, column| Self {
            blocks,
            column,
            row: w * c,
        };
        [run(w / 2, c), run(w % 2, 0)]
    }
}
