//! The block kernels of `asm.rs` in plain Rust: the same pair rows, the same parameters, the same
//! order. What runs where the instructions do not exist, and what the packer is tested with.

use super::Maps;
use super::layout::Expand;
use super::layout::{GROUP, Run};
use super::{Layer, groups};
use crate::op::row_pairs::FAST_SHIFT;
use crate::op::row_pairs::Kernel;
use crate::op::shape::Shape;

/// Makes the pair row of `channels` channels; the words of the others are unchanged.
#[allow(clippy::too_many_arguments)] // the rows' places and the pair row's place
pub fn columns(
    kernel: Kernel,
    e: &Expand,
    input: &[i8],
    upper: usize,
    lower: usize,
    channels: usize,
    scratch: &mut [u32],
    at: usize,
) {
    let [first, inside, pairs] = e.columns;
    for column in 0..2 * pairs {
        let group = at + column / 2 * (kernel.pitch() / 4) + column % 2;
        let image = column.checked_sub(first).filter(|x| *x < inside);
        for channel in 0..channels {
            let value = |row: usize| {
                let x = image.and_then(|x| input.get(row + x * e.channels + channel));
                x.map(|x| i32::from(*x) as u32 & 0xffff)
            };
            let word = match (value(upper), value(lower)) {
                (Some(a), Some(b)) => a | b << 16,
                _ => e.zero_pair,
            };
            if let Some(place) = scratch.get_mut(group + 2 * channel) {
                *place = word;
            }
        }
    }
}

/// Runs a layer whose slices have been checked: the loop of `walker.rs`.
pub fn run(layer: &Layer<'_>, kernel: Kernel, maps: &mut Maps<'_>, scratch: &mut [u32]) {
    let Shape { h, w, c } = layer.output;
    let pad_top = layer.window.pad_top;
    let expand = layer.expand(kernel);
    let image_row = layer.input.w * layer.input.c;
    let runs = Run::of(w, c);
    let mut walker = Walker::new(kernel, &expand, image_row, runs, maps, scratch, layer.table);
    let (ahead, live) = (8 * kernel.advance(), 8 * kernel.live());
    let (slack, last_row) = (8 * kernel.slack(h), layer.input.h - 1);
    let m = layer.multiplier();
    let words = kernel.words();
    for group in groups(layer.input.c) {
        // The step's pair rows begin at word `base`; the next one to make, at `at`, is of
        // image row `row`, whose first byte is `upper`: both wrap below 0.
        let (mut base, mut at) = (0, 0);
        let mut row = 0usize.wrapping_sub(pad_top);
        let mut upper = group.first.wrapping_sub(pad_top * image_row);
        let first_output = (group.first + group.skip) * m;
        let params = |channel: usize, count: usize| {
            let range = channel * words..(channel + count) * words;
            layer.params.get(range).unwrap_or(&[])
        };
        let mut out = first_output;
        walker.channels(params(first_output, group.channels));
        let mut step = 0;
        while step < h.div_ceil(2) {
            if base > slack {
                walker.move_back(base);
                (base, at) = (0, at - base);
            }
            if row < last_row {
                walker.whole_row(upper, at);
            } else if row == last_row {
                walker.half_row(upper, 1, at);
            } else if row == usize::MAX {
                walker.half_row(upper.wrapping_add(image_row), 0, at);
            } else {
                walker.no_row(at);
            }
            row = row.wrapping_add(2);
            upper = upper.wrapping_add(2 * image_row);
            at += 8;
            if at < base + live {
                continue;
            }
            let both = 2 * step + 1 < h;
            if m == 1 {
                walker.blocks(base + 2 * group.skip, out, both);
            } else {
                // With several outputs a channel, each is a call of its own.
                for o in 0..group.channels * m {
                    walker.channels(params(first_output + o, 1));
                    walker.blocks(base + 2 * (group.skip + o / m), out + o, both);
                }
            }
            base += ahead;
            out += 2 * w * c;
            step += 1;
        }
    }
}

/// What the blocks work on.
#[derive(Debug)]
pub struct Walker<'w, 'm> {
    kernel: Kernel,
    expand: &'w Expand,
    image_row: usize,
    runs: [Run; 2],
    maps: &'w mut Maps<'m>,
    scratch: &'w mut [u32],
    params: &'w [[u8; 4]],
    table: Option<&'w [u8; 256]>,
}

impl<'w, 'm> Walker<'w, 'm> {
    /// On these maps.
    pub fn new(
        kernel: Kernel,
        expand: &'w Expand,
        image_row: usize,
        runs: [Run; 2],
        maps: &'w mut Maps<'m>,
        scratch: &'w mut [u32],
        table: Option<&'w [u8; 256]>,
    ) -> Self {
        Self {
            kernel,
            expand,
            image_row,
            runs,
            maps,
            scratch,
            params: &[],
            table,
        }
    }

    /// The channels that the next steps compute, by their parameters.
    pub fn channels(&mut self, params: &'w [[u8; 4]]) {
        self.params = params;
    }

    /// Makes the pair row at word `at` of the image row at byte `upper` and the one below.
    pub fn whole_row(&mut self, upper: usize, at: usize) {
        self.rows(upper, upper + self.image_row, at);
    }

    /// Makes the pair row at word `at` of one image row and padding in half `padding`.
    pub fn half_row(&mut self, row: usize, padding: usize, at: usize) {
        self.rows(row, row, at);
        for pair in 0..self.expand.columns[2] {
            let first = at + pair * (self.kernel.pitch() / 4);
            for word in self.scratch.get_mut(first..first + 8).unwrap_or(&mut []) {
                let keep = 0xffff_0000u32 >> (16 * padding);
                *word = *word & keep | self.expand.zero_pair & !keep;
            }
        }
    }

    /// Makes the pair row at word `at` of padding.
    pub fn no_row(&mut self, at: usize) {
        for pair in 0..self.expand.columns[2] {
            let first = at + pair * (self.kernel.pitch() / 4);
            let words = self.scratch.get_mut(first..first + 8);
            words.unwrap_or(&mut []).fill(self.expand.zero_pair);
        }
    }

    fn rows(&mut self, upper: usize, lower: usize, at: usize) {
        let (e, input) = (self.expand, self.maps.input());
        let channels = GROUP.min(e.channels);
        columns(
            self.kernel,
            e,
            input,
            upper,
            lower,
            channels,
            self.scratch,
            at,
        );
    }

    /// Copies the pair rows that the next step reads from word `base` to the start.
    pub fn move_back(&mut self, base: usize) {
        let kernel = self.kernel;
        let (pitch, words) = (kernel.pitch() / 4, 8 * (kernel.live() - kernel.advance()));
        for pair in 0..self.expand.columns[2] {
            let from = base + pair * pitch;
            if from + words <= self.scratch.len() {
                self.scratch.copy_within(from..from + words, pair * pitch);
            }
        }
    }

    /// Computes two output rows (one unless `both`) of all channels.
    pub fn blocks(&mut self, at: usize, out: usize, both: bool) {
        let kernel = self.kernel;
        let [run, last] = self.runs;
        let further = run.blocks * kernel.block_bytes() / 4;
        for (run, at, out) in [
            (run, at, out),
            (last, at + further, out + 2 * run.blocks * run.column),
        ] {
            for (channel, params) in self.params.chunks_exact(kernel.words()).enumerate() {
                for block in 0..run.blocks {
                    let first = out + channel + 2 * block * run.column;
                    let row = if both { run.row } else { 0 };
                    self.block(&run, params, at + 2 * channel, block, (first, row));
                }
            }
        }
    }

    /// Two rows by two columns of one channel.
    fn block(
        &mut self,
        run: &Run,
        params: &[[u8; 4]],
        at: usize,
        block: usize,
        (first, row_step): (usize, usize),
    ) {
        let kernel = self.kernel;
        // Row `row` of the step, column `column` of the block.
        let pair = |row: usize, column: usize| {
            let column = 2 * block * kernel.stride() + column;
            let word = column / 2 * kernel.pitch() / 4 + 8 * row + column % 2;
            self.scratch.get(at + word).copied().unwrap_or(0)
        };
        let sums = sums(kernel, params, pair);
        // The first one last: a step of 0 leaves what belongs there.
        for (row, column) in [(1, 1), (1, 0), (0, 1), (0, 0)] {
            let q = finish(kernel, params, sums[2 * row + column]);
            let q = self
                .table
                .map_or(q, |t| t[(i32::from(q) + 128) as usize] as i8);
            let place = first + row * row_step + column * run.column;
            if let Some(place) = self.maps.output().get_mut(place) {
                *place = q;
            }
        }
    }
}

/// The sums of two rows by two columns: (0, 0), (0, 1), (1, 0), (1, 1).
fn sums(kernel: Kernel, params: &[[u8; 4]], pair: impl Fn(usize, usize) -> u32) -> [i32; 4] {
    let mut sums = [word(params, 0) as i32; 4];
    let w = |i: usize| word(params, kernel.head() + i);
    for x in 0..2 {
        let (upper, lower) = (x, 2 + x);
        for tap in 0..kernel.side() {
            let column = x * kernel.stride() + tap;
            let rows = [0, 1, 2].map(|row| {
                if row < kernel.live() {
                    pair(row, column)
                } else {
                    0
                }
            });
            match kernel {
                Kernel::K3S1 { .. } => {
                    let (top, low) = (w(tap), w(3 + tap));
                    sums[upper] += dual(rows[0], top) + low_half(rows[1]) * high_half(low);
                    sums[lower] += high_half(rows[0]) * low_half(top) + dual(rows[1], low);
                }
                Kernel::K3S2 { .. } => {
                    let last = w(3 + tap / 2);
                    let last = if tap == 1 {
                        high_half(last)
                    } else {
                        low_half(last)
                    };
                    sums[upper] += dual(rows[0], w(tap)) + low_half(rows[1]) * last;
                    sums[lower] += dual(rows[1], w(tap)) + low_half(rows[2]) * last;
                }
                Kernel::K5S1 { .. } => {
                    let (top, low) = (w(tap), w(15 + tap));
                    let (mid, mid_lower) = (w(5 + 2 * tap), w(6 + 2 * tap));
                    sums[upper] += dual(rows[0], top)
                        + dual(rows[1], mid)
                        + low_half(rows[2]) * high_half(low);
                    sums[lower] += high_half(rows[0]) * low_half(top)
                        + dual(rows[1], mid_lower)
                        + dual(rows[2], low);
                }
            }
        }
    }
    sums
}

fn finish(kernel: Kernel, params: &[[u8; 4]], sum: i32) -> i8 {
    let [m, c] = [word(params, 1) as i32, word(params, 2) as i32];
    let q = if kernel.fast() {
        smmla(sum, m, c) >> FAST_SHIFT
    } else {
        smmlar(sum, m, c + (sum >> 31)) >> (word(params, 3) & 0xff)
    };
    q.clamp(-128, 127) as i8
}

/// A word of the parameters.
pub fn word(params: &[[u8; 4]], i: usize) -> u32 {
    params.get(i).map_or(0, |w| u32::from_le_bytes(*w))
}

/// SMMLA: (c 2^32 + a b) / 2^32, floor.
pub fn smmla(a: i32, b: i32, c: i32) -> i32 {
    (((i64::from(c) << 32) + i64::from(a) * i64::from(b)) >> 32) as i32
}

/// SMMLAR: (c 2^32 + a b) / 2^32, to the nearest, ties up.
pub fn smmlar(a: i32, b: i32, c: i32) -> i32 {
    (((i64::from(c) << 32) + i64::from(a) * i64::from(b) + (1 << 31)) >> 32) as i32
}

/// The low half, signed.
pub fn low_half(word: u32) -> i32 {
    i32::from(word as i16)
}

/// The high half, signed.
pub fn high_half(word: u32) -> i32 {
    i32::from((word >> 16) as i16)
}

/// SMLAD without its addend.
pub fn dual(a: u32, b: u32) -> i32 {
    low_half(a) * low_half(b) + high_half(a) * high_half(b)
}
