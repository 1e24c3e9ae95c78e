//! Depthwise convolution on the Arm DSP extension.
//!
//! Four channels at a time, image rows become pair rows in the scratch (`layout.rs`); a block
//! kernel then computes two rows by two columns of one channel. 3x3 with stride 1 and 2 and 5x5
//! have block kernels of their own, other windows `any.rs`. `asm.rs` has the instructions,
//! `twin.rs` the same in plain Rust, `pack.rs` the parameters.
//!
//! A step writes output rows only after all input rows above the next unread one are in pair rows,
//! so the block kernels may replace their input, also with stride 2: see [`works_in_place`].

pub mod any;
#[cfg(arm_dsp)]
mod asm;
pub mod layout;
#[cfg(feature = "std")]
pub mod pack;
mod twin;

#[cfg(arm_dsp)]
use self::asm as ops;
#[cfg(not(arm_dsp))]
use self::twin as ops;

use self::layout::{Expand, GROUP, Kernel, Run, Steps};
use crate::kernels::m4::clamp::clamp;
use crate::shape::{Shape, Window};

/// What a layer's parameters are packed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A block kernel.
    Blocks(Kernel),
    /// Any window: `any.rs`.
    Any,
}

impl Form {
    /// Words of a channel's parameters.
    pub const fn words(self, window: &Window) -> usize {
        match self {
            Self::Blocks(kernel) => kernel.words(),
            Self::Any => any::words(window.kernel_h, window.kernel_w),
        }
    }

    /// Words of scratch.
    pub const fn scratch_words(self, window: &Window, output: Shape) -> usize {
        match self {
            Self::Blocks(kernel) => kernel.scratch_words(output.h, output.w),
            Self::Any => any::scratch_words(window, output.w),
        }
    }
}

/// A depthwise layer in packed form.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a> {
    /// Input map.
    pub input: Shape,
    /// Output map; channel o reads input channel o / (out_ch / in_ch).
    pub output: Shape,
    /// Window.
    pub window: Window,
    /// Zero point of the input.
    pub input_zero_point: i32,
    /// What the parameters are for.
    pub form: Form,
    /// Parameters of all channels, as `pack` made them.
    pub params: &'a [u32],
    /// Table behind the requantization: 256 entries, index is the int8 plus 128.
    pub table: Option<&'a [u8; 256]>,
    /// Clamps; only without a table.
    pub act: (i8, i8),
}

/// Where a layer reads and writes.
#[derive(Debug)]
pub enum Maps<'a> {
    /// Two maps that do not overlap.
    Apart(&'a [i8], &'a mut [i8]),
    /// The output takes the input's place, from its first byte on.
    InPlace(&'a mut [i8]),
}

impl Maps<'_> {
    fn input(&self) -> &[i8] {
        match self {
            Self::Apart(input, _) => input,
            Self::InPlace(map) => map,
        }
    }

    fn output(&mut self) -> &mut [i8] {
        match self {
            Self::Apart(_, output) => output,
            Self::InPlace(map) => map,
        }
    }
}

/// Whether a layer of this form may replace its input.
pub fn works_in_place(form: Form, input: Shape, output: Shape) -> bool {
    matches!(form, Form::Blocks(_)) && input.c == output.c && output.w <= input.w
        // An output row is never below the rows that are read already.
        && output.h <= input.h
}

impl Layer<'_> {
    /// Output channels of one input channel.
    fn multiplier(&self) -> usize {
        self.output.c / self.input.c.max(1)
    }

    /// Whether shapes, parameters and scratch fit one another.
    fn fits(&self, maps: &mut Maps<'_>, scratch: &[u32]) -> bool {
        let (input, output) = (self.input, self.output);
        let place = match maps {
            Maps::Apart(..) => true,
            Maps::InPlace(_) => works_in_place(self.form, input, output),
        };
        let channels = output.c.checked_rem(input.c) == Some(0);
        place
            && channels
            && !output.is_empty()
            && self.window.pad_top < self.window.kernel_h
            && self.window.pad_left < self.window.kernel_w
            && maps.input().len() >= input.len()
            && maps.output().len() >= output.len()
            && self.params.len() == output.c * self.form.words(&self.window)
            && scratch.len() >= self.form.scratch_words(&self.window, output)
    }

    /// Runs the layer; false, with the output unchanged, where slices are too short.
    pub fn run(&self, maps: &mut Maps<'_>, scratch: &mut [u32]) -> bool {
        if !self.fits(maps, scratch) {
            return false;
        }
        match self.form {
            Form::Blocks(kernel) => self.blocks(kernel, maps, scratch),
            Form::Any => any::run(self, maps, scratch),
        }
        if self.table.is_none() && self.act != (i8::MIN, i8::MAX) {
            let len = self.output.len();
            clamp(self.act, maps.output().get_mut(..len).unwrap_or(&mut []));
        }
        true
    }

    fn blocks(&self, kernel: Kernel, maps: &mut Maps<'_>, scratch: &mut [u32]) {
        let pairs = kernel.column_pairs(self.output.w);
        let expand = Expand::new(
            self.input,
            self.input_zero_point,
            self.window.pad_left,
            pairs,
        );
        for group in groups(self.input.c) {
            self.group(kernel, &expand, &group, maps, scratch);
        }
    }

    /// All steps of four channels.
    fn group(
        &self,
        kernel: Kernel,
        expand: &Expand,
        group: &Group,
        maps: &mut Maps<'_>,
        scratch: &mut [u32],
    ) {
        let (h, pairs) = (self.output.h, expand.column_pairs());
        let (advance, live, slack) = (kernel.advance(), kernel.live(), kernel.slack(h));
        let steps = h.div_ceil(2);
        // The steps before this one read only pair rows inside the image, and write two rows.
        let plain = if self.multiplier() == 1 && self.input.c >= GROUP {
            let inside = (self.input.h + self.window.pad_top) / 2;
            (h / 2).min((inside + advance).saturating_sub(live) / advance)
        } else {
            0
        };
        // The step's first pair row is at word `base`; `next` is the pair row to make next.
        let (mut step, mut base, mut next) = (0, 0, 0);
        while step < steps {
            if base > 8 * slack {
                move_back(kernel, pairs, scratch, base);
                base = 0;
            }
            let first = step * advance;
            let room = (8 * slack - base) / (8 * advance) + 1;
            let count = plain.saturating_sub(step).min(room);
            let ready = first + live - if count > 0 { advance } else { 0 };
            while next < ready {
                let at = base + 8 * (next - first);
                self.pair_row(kernel, expand, group, next, maps.input(), scratch, at);
                next += 1;
            }
            if count > 0 && 2 * next >= self.window.pad_top {
                self.plain_steps(kernel, expand, group, (step, count), maps, scratch, base);
                step += count;
                next += count * advance;
                base += 8 * advance * count;
            } else {
                while next < first + live {
                    let at = base + 8 * (next - first);
                    self.pair_row(kernel, expand, group, next, maps.input(), scratch, at);
                    next += 1;
                }
                self.step(kernel, group, step, scratch, base, maps.output());
                step += 1;
                base += 8 * advance;
            }
        }
    }

    /// Steps (first, count) whose new pair rows and output rows are whole.
    #[allow(clippy::too_many_arguments)] // what is read, what is written, and where
    fn plain_steps(
        &self,
        kernel: Kernel,
        expand: &Expand,
        group: &Group,
        (first, count): (usize, usize),
        maps: &mut Maps<'_>,
        scratch: &mut [u32],
        base: usize,
    ) {
        let Shape { w, c, .. } = self.output;
        let image_row = self.input.w * self.input.c;
        let next = (first + 1) * kernel.advance() + kernel.live() - 2 * kernel.advance();
        let channel = group.first + group.skip;
        let steps = Steps {
            count,
            upper: (2 * next - self.window.pad_top) * image_row + group.first,
            image_row,
            base,
            skip: group.skip,
            out: 2 * first * w * c + channel,
            run: Run {
                blocks: w / 2,
                channels: group.channels,
                column: c,
                row: w * c,
            },
            odd: w % 2 == 1,
        };
        let words = kernel.words();
        let params = self
            .params
            .get(channel * words..(channel + group.channels) * words);
        let params = params.unwrap_or(&[]);
        ops::steps(kernel, expand, &steps, maps, scratch, params, self.table);
    }

    /// Makes pair row `k`: image rows 2 k − pad_top and the one below.
    #[allow(clippy::too_many_arguments)] // what is read, what is written, and where
    #[inline(always)]
    fn pair_row(
        &self,
        kernel: Kernel,
        expand: &Expand,
        group: &Group,
        k: usize,
        input: &[i8],
        scratch: &mut [u32],
        at: usize,
    ) {
        let (h, pad) = (self.input.h, self.window.pad_top);
        let inside = |row: usize| row >= pad && row - pad < h;
        let (upper, lower) = (inside(2 * k), inside(2 * k + 1));
        let row = self.input.w * self.input.c;
        let place = |row_index: usize| (row_index - pad) * row + group.first;
        let (a, b) = match (upper, lower) {
            (true, true) => (place(2 * k), place(2 * k) + row),
            (true, false) => (place(2 * k), place(2 * k)),
            (false, true) => (place(2 * k + 1), place(2 * k + 1)),
            (false, false) => {
                let pitch = kernel.pitch() / 4;
                for pair in 0..expand.column_pairs() {
                    let words = scratch.get_mut(at + pair * pitch..).unwrap_or(&mut []);
                    words.iter_mut().take(8).for_each(|w| *w = expand.zero_pair);
                }
                return;
            }
        };
        if self.input.c < GROUP {
            twin::columns(kernel, expand, input, a, b, self.input.c, scratch, at);
        } else {
            ops::expand(kernel, expand, input, a, b, scratch, at);
        }
        if upper != lower {
            let (pairs, zero) = (expand.column_pairs(), expand.zero_pair as u16);
            ops::half(kernel, pairs, scratch, at, usize::from(upper), zero);
        }
    }

    /// Output rows 2 `step` and the next one, of one group.
    #[inline(always)]
    fn step(
        &self,
        kernel: Kernel,
        group: &Group,
        step: usize,
        scratch: &[u32],
        base: usize,
        output: &mut [i8],
    ) {
        let Shape { h, w, c } = self.output;
        let m = self.multiplier();
        let row = w * c;
        let run = Run {
            blocks: w / 2,
            channels: if m == 1 { group.channels } else { 1 },
            column: c,
            row: if 2 * step + 1 < h { row } else { 0 },
        };
        // With several outputs a channel, each is a call of its own.
        let calls = if m == 1 { 1 } else { group.channels * m };
        for call in 0..calls {
            let channel = (group.first + group.skip) * m + call;
            let at = base + 2 * (group.skip + call / m);
            let words = kernel.words();
            let params = self
                .params
                .get(channel * words..(channel + run.channels) * words);
            let params = params.unwrap_or(&[]);
            let out = output
                .get_mut(2 * step * row + channel..)
                .unwrap_or(&mut []);
            if w > 1 {
                ops::blocks(kernel, &run, scratch, at, params, out, self.table);
            }
            if w % 2 == 1 {
                let last = Run {
                    blocks: 1,
                    column: 0,
                    ..run
                };
                let at = at + w / 2 * kernel.block_bytes() / 4;
                let out = out.get_mut((w - 1) * c..).unwrap_or(&mut []);
                ops::blocks(kernel, &last, scratch, at, params, out, self.table);
            }
        }
    }
}

/// Four channels whose bytes are loaded as one word, and which of them are computed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group {
    /// First channel that is loaded.
    pub first: usize,
    /// Channels before the first that is computed: an odd last group begins earlier, so that
    /// nothing behind the image is read.
    pub skip: usize,
    /// Channels that are computed.
    pub channels: usize,
}

/// The groups of `c` channels.
pub(super) fn groups(c: usize) -> impl Iterator<Item = Group> {
    (0..c).step_by(GROUP).map(move |channel| {
        let first = channel.min(c.saturating_sub(GROUP));
        Group {
            first,
            skip: channel - first,
            channels: GROUP.min(c - channel),
        }
    })
}

/// Copies the pair rows that the next step reads from word `base` to the start.
fn move_back(kernel: Kernel, pairs: usize, scratch: &mut [u32], base: usize) {
    let (pitch, words) = (kernel.pitch() / 4, 8 * (kernel.live() - kernel.advance()));
    for pair in 0..pairs {
        let from = base + pair * pitch;
        if from + words <= scratch.len() {
            scratch.copy_within(from..from + words, pair * pitch);
        }
    }
}

#[cfg(all(test, feature = "std"))]
mod tests;
