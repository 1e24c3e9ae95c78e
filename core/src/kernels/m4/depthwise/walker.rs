//! The loop over groups of four channels and steps of two output rows on a chip: which image rows
//! become pair rows, and where each call of the block kernels reads and writes.
#![allow(unsafe_code)]

use super::asm::{Code, Frame, pupil_m4_dw_half};
use super::layout::{Expand, GROUP, Run};
use super::{Group, Layer, Maps, groups, twin};
use crate::kernels::operators::{OperatorSet, Operators};
use crate::kernels::row_pairs::Kernel;
use core::marker::PhantomData;

/// Runs a layer whose slices have been checked: all groups of four channels, step by step.
///
/// The checks of [`Layer::run`] and the layout of pair rows keep every access inside: image rows
/// are read where they exist, from a group's first channel to its fourth, which is a channel of
/// the pixel; pair rows lie in [`Kernel::scratch_words`]; outputs are those of existing rows and
/// columns, because a step is 0 where the second one does not exist.
#[inline(never)] // registers of its own for the loop
pub fn run<O: Operators>(
    layer: &Layer<'_>,
    kernel: Kernel,
    code: &Code,
    maps: &mut Maps<'_>,
    scratch: &mut [u32],
) {
    let walker = &mut Walker::new(layer, kernel, code, maps, scratch);
    let narrow = O::SET.has(OperatorSet::DEPTHWISE_NARROW) && walker.narrow;
    let (ahead, live) = (8 * kernel.advance(), 8 * kernel.live());
    let slack = 8 * kernel.slack(layer.output.h);
    let (steps, last_row) = (layer.output.h.div_ceil(2), layer.input.h - 1);
    let (pad_top, image_row) = (layer.window.pad_top, walker.image_row);
    let (expand_to, two_rows) = (walker.expand_to, 2 * image_row);
    for group in groups(layer.input.c) {
        walker.begin(&group);
        // The step's pair rows begin at word `base`; the next one to make, at `at`, is of image
        // row `row`, whose first byte is `upper`: both wrap below 0.
        let (mut base, mut at) = (0, 0);
        let mut row = 0usize.wrapping_sub(pad_top);
        let mut upper = walker.input.wrapping_add(group.first);
        upper = upper.wrapping_sub(pad_top * image_row);
        for step in 0..steps {
            if base > slack {
                walker.move_back(base);
                (base, at) = (0, at - base);
            }
            while at < base + live {
                let to = walker.scratch.wrapping_add(at);
                if row < last_row && !narrow {
                    // SAFETY: both image rows exist, and the pair row lies in the scratch.
                    unsafe { expand_to(upper, image_row, to, &raw const walker.expand) }
                } else {
                    walker.border::<O>(row, upper, to, last_row);
                }
                row = row.wrapping_add(2);
                upper = upper.wrapping_add(two_rows);
                at += 8;
            }
            if 2 * step + 1 == layer.output.h {
                walker.frames.iter_mut().for_each(|frame| frame.row = 0);
            }
            if walker.many == 1 || !O::SET.has(OperatorSet::DEPTHWISE_MANY) {
                walker.blocks(ahead);
            } else {
                walker.many(layer, &group, ahead);
            }
            base += ahead;
        }
    }
}

/// The maps and the scratch as pointers, and the frames of the next step.
#[derive(Debug)]
struct Walker<'w> {
    entry: unsafe extern "C" fn(*const Frame),
    expand_to: unsafe extern "C" fn(*const i8, usize, *mut u32, *const Expand),
    image_row: usize,
    input: *const i8,
    output: *mut i8,
    scratch: *mut u32,
    scratch_len: usize,
    input_len: usize,
    /// Blocks of two columns, and of a single last one.
    frames: [Frame; 2],
    blocks: [usize; 2],
    /// Bytes of blocks in pair rows and output, two steps of the output.
    width: (usize, usize),
    row: usize,
    params: *const u32,
    kernel: Kernel,
    /// Outputs of an input channel.
    many: usize,
    /// Whether a pixel has fewer channels than a word.
    narrow: bool,
    expand: Expand,
    life: PhantomData<&'w mut [u32]>,
}

impl<'w> Walker<'w> {
    fn new(
        layer: &Layer<'w>,
        kernel: Kernel,
        code: &Code,
        maps: &'w mut Maps<'_>,
        scratch: &'w mut [u32],
    ) -> Self {
        let input_len = maps.input().len();
        let (input, output) = match maps {
            Maps::Apart(input, output) => (input.as_ptr(), output.as_mut_ptr()),
            Maps::InPlace(map) => {
                let map = map.as_mut_ptr();
                (map.cast_const(), map)
            }
        };
        let table = layer.table.map_or(core::ptr::null(), |t| {
            t.as_ptr().cast::<i8>().wrapping_add(128)
        });
        let runs = Run::of(layer.output.w, layer.output.c);
        Self {
            entry: code.blocks,
            expand_to: code.expand,
            image_row: layer.input.w * layer.input.c,
            input,
            output,
            scratch: scratch.as_mut_ptr(),
            scratch_len: scratch.len(),
            input_len,
            frames: runs.map(|run| Frame::new(kernel, &run, table)),
            blocks: runs.map(|run| run.blocks),
            width: (
                runs[0].blocks * kernel.block_bytes(),
                2 * runs[0].blocks * runs[0].column,
            ),
            row: runs[0].row,
            params: layer.params.as_ptr().cast(),
            kernel,
            many: layer.multiplier(),
            narrow: layer.input.c < GROUP,
            expand: layer.expand(kernel),
            life: PhantomData,
        }
    }

    /// The first step of a group.
    fn begin(&mut self, group: &Group) {
        let first = (group.first + group.skip) * self.many;
        let words = self.kernel.words();
        let params = self.params.wrapping_add(first * words);
        let mut src: *const u32 = self.scratch.wrapping_add(2 * group.skip);
        let mut out = self.output.wrapping_add(first);
        for (frame, blocks) in self.frames.iter_mut().zip(self.blocks) {
            frame.params = params;
            frame.params_end = params.wrapping_add(group.channels * words);
            frame.src = src;
            frame.end = src.wrapping_byte_add(blocks * self.kernel.block_bytes());
            frame.out = out;
            frame.row = self.row;
            src = src.wrapping_byte_add(self.width.0);
            out = out.wrapping_add(self.width.1);
        }
    }

    /// Computes the step's blocks; the next step's pair rows begin `ahead` words further.
    #[inline(always)]
    fn blocks(&mut self, ahead: usize) {
        let bytes = 2 * self.row;
        for (frame, blocks) in self.frames.iter_mut().zip(self.blocks) {
            if blocks > 0 {
                // SAFETY: see `run`. The parameters are whole channels. Table indices are
                // saturated to −128..127 around its middle. Input and output may be one map: it is
                // only reached through these pointers while the walker lives. The callee keeps
                // the C ABI and reads the frame only.
                unsafe { (self.entry)(frame) }
                frame.src = frame.src.wrapping_add(ahead);
                frame.end = frame.end.wrapping_add(ahead);
                frame.out = frame.out.wrapping_add(bytes);
            }
        }
    }

    /// [`blocks`](Self::blocks) of several outputs a channel: each is a call of its own.
    #[inline(never)]
    fn many(&mut self, layer: &Layer<'_>, group: &Group, ahead: usize) {
        let words = self.kernel.words();
        let first = (group.first + group.skip) * self.many;
        for o in 0..group.channels * self.many {
            let params = layer.params.as_ptr().cast::<u32>();
            let channel = 2 * (o / self.many);
            for (frame, blocks) in self.frames.iter_mut().zip(self.blocks) {
                frame.params = params.wrapping_add((first + o) * words);
                frame.params_end = frame.params.wrapping_add(words);
                if blocks > 0 {
                    let shifted = Frame {
                        src: frame.src.wrapping_add(channel),
                        out: frame.out.wrapping_add(o),
                        ..*frame
                    };
                    // SAFETY: as in `blocks`, for one channel of pair rows and one of outputs.
                    unsafe { (self.entry)(&shifted) }
                }
            }
        }
        for frame in &mut self.frames {
            frame.src = frame.src.wrapping_add(ahead);
            frame.end = frame.end.wrapping_add(ahead);
            frame.out = frame.out.wrapping_add(2 * self.row);
        }
    }

    /// Makes a pair row at the image's border, or of fewer than four channels: of image row `row`,
    /// which begins at `upper`, and the one below.
    #[inline(never)]
    fn border<O: Operators>(&self, row: usize, upper: *const i8, to: *mut u32, last_row: usize) {
        let below = upper.wrapping_add(self.image_row);
        // The rows to read, and the half that is padding.
        let (a, b, padding) = if row < last_row {
            (upper, below, None)
        } else if row == last_row {
            (upper, upper, Some(1))
        } else if row == usize::MAX {
            (below, below, Some(0))
        } else {
            let padding = Expand {
                before: self.expand.column_pairs(),
                whole: 0,
                half_before: 0,
                half_after: 0,
                after: 0,
                ..self.expand
            };
            // SAFETY: 8 words in each of `column_pairs` groups are written, inside the scratch;
            // no image column is read.
            return unsafe { (self.expand_to)(self.input, 0, to, &padding) };
        };
        if self.narrow && O::SET.has(OperatorSet::DEPTHWISE_NARROW) {
            self.narrow(a, b, to);
        } else {
            // SAFETY: the image rows exist, and the pair row lies in the scratch.
            unsafe { (self.expand_to)(a, b.addr() - a.addr(), to, &self.expand) }
        }
        if let Some(padding) = padding {
            let half = to.cast::<u16>().wrapping_add(padding);
            let (pairs, pitch) = (self.expand.column_pairs(), self.kernel.pitch());
            // SAFETY: one half of 8 words in each of `pairs` groups, `pitch` bytes apart: the
            // pair row. Cores with these instructions are little-endian here.
            unsafe { pupil_m4_dw_half(half, self.expand.zero_pair & 0xffff, pairs, pitch) }
        }
    }

    /// A pair row of fewer than four channels.
    fn narrow(&self, a: *const i8, b: *const i8, to: *mut u32) {
        // SAFETY: the lengths are those of the slices of `new`, which are borrowed for 'w; no
        // other reference to them lives during this call.
        let (input, scratch) = unsafe {
            (
                core::slice::from_raw_parts(self.input, self.input_len),
                core::slice::from_raw_parts_mut(self.scratch, self.scratch_len),
            )
        };
        let row = |p: *const i8| p.addr() - self.input.addr();
        let at = (to.addr() - self.scratch.addr()) / 4;
        let e = &self.expand;
        twin::columns(
            self.kernel,
            e,
            input,
            row(a),
            row(b),
            e.channels,
            scratch,
            at,
        );
    }

    /// Copies the pair rows that the next step reads from word `base` to the start.
    #[inline(never)]
    fn move_back(&mut self, base: usize) {
        let (pitch, words) = (
            self.kernel.pitch() / 4,
            8 * (self.kernel.live() - self.kernel.advance()),
        );
        for pair in 0..self.expand.column_pairs() {
            let from = self.scratch.wrapping_add(base + pair * pitch);
            // SAFETY: the rows of the next step that exist already; they lie in the scratch, and
            // from 0 on before that.
            unsafe {
                self.scratch
                    .wrapping_add(pair * pitch)
                    .copy_from(from, words)
            }
        }
        for frame in &mut self.frames {
            frame.src = frame.src.wrapping_sub(base);
            frame.end = frame.end.wrapping_sub(base);
        }
    }
}
