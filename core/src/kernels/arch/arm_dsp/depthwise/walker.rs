//! The loops around the micro-kernels on a chip: over groups of four channels and output rows, which
//! image rows become pair rows, and where each call reads and writes.
#![allow(unsafe_code)]

use super::any::{column_pairs, ring};
use super::asm::{
    AnyFrame, Block, Frame, MakeRow, pupil_m4_dw_any, pupil_m4_dw_expand, pupil_m4_dw_half,
    pupil_m4_dw_move, pupil_m4_dw_padding, pupil_m4_dw_planar,
};
use super::layout::{Expand, GROUP, Planar, SLACK};
use super::works_in_place;
use crate::kernels::arch::arm_dsp::clamp::clamp;
use crate::kernels::arch::operands::Operands;
use crate::kernels::{OperatorSet as Set, Operators};
use crate::op::row_pairs::Form;
use crate::op::{Filter, Layout};

/// Runs a layer in row pairs. False, with nothing written, where the layer's kernel is not linked or
/// can't work in place; [`run`](crate::kernels::arch::arm_dsp::run::run) has checked the places.
///
/// A filter is only made of a parsed model: its words are whole channels of this form, its window is
/// not empty, padding is less than the window, outputs are a multiple of the input's channels, and
/// every window has a row and a column inside the image.
#[inline(never)]
pub fn run<O: Operators>(f: &Filter<'_>, places: &mut Operands<'_>) -> bool {
    let Layout::RowPairs(form) = f.layout else {
        return false;
    };
    let (maps, scratch) = (&mut places.maps, &mut places.scratch);
    if maps.are_one() && !works_in_place(form, f.input, f.output) {
        return false;
    }
    let (input, output) = maps.places();
    let layer = Layer {
        f,
        input,
        output,
        image_row: f.input.w * f.input.c,
        params: f.weights.as_ptr().cast(),
        // Signed indices lie around the middle.
        table: f.out.lookup.map_or(core::ptr::null(), |t| {
            t.as_ptr().cast::<i8>().wrapping_add(128)
        }),
    };
    let scratch = scratch.as_mut_ptr().cast();
    match form {
        Form::Blocks(kernel) if O::SET.has_any(Set::DEPTHWISE_BLOCKS) => {
            let Some(block) = Block::of::<O>(kernel) else {
                return false;
            };
            layer.blocks::<O>(block, scratch);
        }
        Form::Any if O::SET.has(Set::DEPTHWISE_ANY) => layer.any::<O>(scratch),
        _ => return false,
    }
    if O::SET.has(Set::DEPTHWISE_CLAMP) && f.out.lookup.is_none() {
        let map = maps.output().get_mut(..f.output.len());
        clamp((f.out.min as i8, f.out.max as i8), map.unwrap_or(&mut []));
    }
    true
}

/// A layer on maps that are as long as it says.
struct Layer<'f> {
    f: &'f Filter<'f>,
    input: *const i8,
    output: *mut i8,
    /// Bytes of an image row.
    image_row: usize,
    params: *const u32,
    table: *const i8,
}

/// How pair rows are made.
struct Rows {
    make: MakeRow,
    /// An [`Expand`] or a [`Planar`], as `make` wants.
    how: *const (),
    /// The input's zero point in both halves.
    zero: u32,
    pairs: usize,
    pitch: usize,
    /// Words from the first column of a pair to the second, and from a channel to the next.
    column: usize,
    channel: usize,
}

/// Four channels whose bytes are loaded as one word, and which of them are computed.
struct Group {
    /// First channel that is loaded: an odd last group begins earlier, so that nothing behind the
    /// image is read.
    first: usize,
    /// Channels before the first that is computed.
    skip: usize,
    /// Channels that are computed.
    channels: usize,
}

impl Layer<'_> {
    /// The group that begins with `channel`.
    #[inline(always)]
    fn group(&self, channel: usize) -> Group {
        let c = self.f.input.c;
        let first = channel.min(c.saturating_sub(GROUP));
        Group {
            first,
            skip: channel - first,
            channels: GROUP.min(c - channel),
        }
    }

    /// Output channels of an input channel.
    #[inline(always)]
    fn many<O: Operators>(&self) -> usize {
        if O::SET.has(Set::DEPTHWISE_MANY) {
            self.f.output.c.checked_div(self.f.input.c).unwrap_or(1)
        } else {
            1
        }
    }

    /// Makes the pair row at `to` of image row `row`, which wraps below 0, and the one below, from
    /// channel `first` on.
    ///
    /// # Safety
    /// `to` has room for a pair row; `first` and the three channels behind it, if there are as many
    /// as four, are channels of the input.
    #[inline(never)]
    unsafe fn pair_row<O: Operators>(&self, rows: &Rows, row: usize, first: usize, to: *mut u32) {
        if O::SET.has(Set::DEPTHWISE_NARROW) && self.f.input.c < GROUP {
            // SAFETY: as the caller says.
            return unsafe { self.narrow(rows, row, to) };
        }
        let below = row.wrapping_add(1);
        let (upper, lower) = (row < self.f.input.h, below < self.f.input.h);
        let (zero, pairs, pitch) = (rows.zero, rows.pairs, rows.pitch);
        if !upper && !lower {
            // SAFETY: 8 words in each of `pairs` groups, `pitch` bytes apart: the pair row.
            return unsafe { pupil_m4_dw_padding(zero, pairs, to, pitch) };
        }
        let row = if upper { row } else { below };
        let step = if upper && lower { self.image_row } else { 0 };
        let from = self.input.wrapping_add(row * self.image_row + first);
        // SAFETY: the image rows exist, and four channels of their pixels; the caller has seen to
        // the room. What lies outside is one half of each word. Cores with these instructions are
        // little-endian here.
        unsafe {
            (rows.make)(from, step, to, rows.how);
            if upper != lower {
                let half = to.cast::<u16>().wrapping_add(usize::from(upper));
                pupil_m4_dw_half(half, zero, pairs, pitch);
            }
        }
    }

    /// [`pair_row`](Self::pair_row) of fewer than four channels, value by value.
    ///
    /// # Safety
    /// `to` has room for a pair row.
    #[inline(never)]
    unsafe fn narrow(&self, rows: &Rows, row: usize, to: *mut u32) {
        let (image, pad) = (self.f.input, self.f.window.pad_left);
        for i in 0..2 * rows.pairs * image.c {
            let (column, channel) = (i / image.c, i % image.c);
            let x = column.wrapping_sub(pad);
            let value = |row: usize| {
                if row >= image.h || x >= image.w {
                    return rows.zero & 0xffff;
                }
                let at = row * self.image_row + x * image.c + channel;
                // SAFETY: a value of an image row that exists.
                let value = unsafe { self.input.add(at).read() };
                u32::from(i16::from(value) as u16)
            };
            let word = value(row) | value(row.wrapping_add(1)) << 16;
            let place =
                column / 2 * (rows.pitch / 4) + column % 2 * rows.column + channel * rows.channel;
            // SAFETY: a word of the pair row.
            unsafe { to.add(place).write(word) }
        }
    }

    /// All groups of four channels, in steps of two output rows.
    ///
    /// Everything lies inside: image rows are read where they exist; pair rows lie in
    /// [`Kernel::scratch_words`](crate::op::row_pairs::Kernel::scratch_words); outputs are those of existing rows and columns, because a step is 0
    /// where the second one does not exist.
    #[inline(never)] // registers of its own for the loop
    fn blocks<O: Operators>(&self, block: &Block, scratch: *mut u32) {
        let (f, image_row) = (self.f, self.image_row);
        let (image, out) = (f.input, f.output);
        let (many, row_len) = (self.many::<O>(), out.w * out.c);
        let (words, stride) = (usize::from(block.words), usize::from(block.stride));
        let (rows_live, side) = (usize::from(block.live), usize::from(block.side));
        let pitch = block.pitch();
        // As `Kernel::column_pairs` and `Kernel::slack`.
        let pairs = ((out.w.next_multiple_of(2) - 1) * stride + side).div_ceil(2);
        let slack = 8 * (out.h.div_ceil(2) * stride).min(SLACK);
        let expand = Expand::new(image, f.input_zero_point, f.window.pad_left, pairs, pitch);
        let rows = Rows {
            make: pupil_m4_dw_expand,
            how: (&raw const expand).cast(),
            zero: expand.zero_pair,
            pairs,
            pitch,
            column: 1,
            channel: 2,
        };
        // From which image row on a pair row needs more than two rows as they are.
        let whole = if O::SET.has(Set::DEPTHWISE_NARROW) && image.c < GROUP {
            0
        } else {
            image.h - 1
        };
        let last_base = scratch.wrapping_add(slack);
        let (ahead, last_column) = (8 * stride, (out.w - 1) * out.c);
        // Blocks of two columns, and of a single last one.
        let mut twos = Frame::new(block, out.w / 2, out.c, self.table);
        let mut last = Frame::new(block, out.w % 2, 0, self.table);
        let mut channel = 0;
        while channel < image.c {
            let group = self.group(channel);
            let first_output = channel * many;
            let params = self.params.wrapping_add(first_output * words);
            for frame in [&mut twos, &mut last] {
                frame.channels(params, group.channels * words);
                frame.row = row_len;
            }
            // The step's pair rows begin at `base`; the next one to make, at `to`, is of image row
            // `row`, whose first byte is `upper`: both wrap below 0.
            let (mut base, mut to) = (scratch, scratch);
            let mut row = 0usize.wrapping_sub(f.window.pad_top);
            let mut upper = self.input.wrapping_add(group.first);
            upper = upper.wrapping_add(row.wrapping_mul(image_row));
            let mut output = self.output.wrapping_add(first_output);
            let (mut left, mut missing) = (out.h, rows_live);
            while left > 0 {
                if base > last_base {
                    to = scratch;
                    for _ in 0..rows_live - stride {
                        // SAFETY: the pair rows of this step that exist already; they lie in the
                        // scratch memory, and from 0 on before that. See `SLACK` for the order.
                        unsafe { pupil_m4_dw_move(to, base, pairs, pitch) }
                        base = base.wrapping_add(8);
                        to = to.wrapping_add(8);
                    }
                    base = scratch;
                }
                while missing > 0 {
                    if row < whole {
                        // SAFETY: both image rows exist, and the pair row lies in the scratch.
                        unsafe { pupil_m4_dw_expand(upper, image_row, to, rows.how) }
                    } else {
                        // SAFETY: the pair row lies in the scratch; `group` has seen to channels.
                        unsafe { self.pair_row::<O>(&rows, row, group.first, to) }
                    }
                    row = row.wrapping_add(2);
                    upper = upper.wrapping_add(2 * image_row);
                    to = to.wrapping_add(8);
                    missing -= 1;
                }
                if left == 1 {
                    (twos.row, last.row) = (0, 0);
                }
                let mut src = base.wrapping_add(2 * group.skip);
                // With several outputs a channel, each is a call of its own.
                let (mut params, mut place) = (params, output);
                let mut calls = if many == 1 { 1 } else { group.channels * many };
                loop {
                    if many > 1 {
                        twos.channels(params, words);
                        last.channels(params, words);
                    }
                    // SAFETY: see above. The parameters are whole channels. Table indices are
                    // saturated to −128..127 around its middle. Input and output may be one map: it
                    // is only reached through pointers meanwhile. The callee keeps the C ABI and
                    // reads the frame only.
                    unsafe {
                        if twos.len > 0 {
                            (block.code)(&raw const twos, src, place);
                        }
                        if last.len > 0 {
                            let src = src.wrapping_byte_add(twos.len);
                            (block.code)(&raw const last, src, place.wrapping_add(last_column));
                        }
                    }
                    calls -= 1;
                    if calls == 0 {
                        break;
                    }
                    params = params.wrapping_add(words);
                    place = place.wrapping_add(1);
                    if calls.is_multiple_of(many) {
                        src = src.wrapping_add(2);
                    }
                }
                output = output.wrapping_add(2 * row_len);
                base = base.wrapping_add(ahead);
                missing = stride;
                left = left.saturating_sub(2);
            }
            channel += GROUP;
        }
    }

    /// All groups of four channels with any window, row by row.
    ///
    /// Everything lies inside: the scratch memory has a word for each place of the ring, one for each
    /// pair row of a window, and the ring; a place's columns reach as far as the last block's.
    #[inline(never)]
    fn any<O: Operators>(&self, scratch: *mut u32) {
        let (f, w) = (self.f, &self.f.window);
        let (image, out) = (f.input, f.output);
        let many = self.many::<O>();
        let (ring, pairs) = (ring(w), column_pairs(w, out.w));
        let window_rows = w.kernel_h.div_ceil(2);
        let holds = scratch;
        let places = holds.wrapping_add(ring);
        let places_end = places.wrapping_add(window_rows);
        let planar = Planar::new(image, f.input_zero_point, w.pad_left, 2 * pairs);
        let rows = Rows {
            make: pupil_m4_dw_planar,
            how: (&raw const planar).cast(),
            zero: planar.zero_pair,
            pairs,
            pitch: 32,
            column: 4,
            channel: 1,
        };
        let frame = AnyFrame {
            apart: out.c,
            places,
            places_end,
            row_bytes: 4 * w.kernel_w,
            step: 4 * GROUP * w.stride_w,
            columns: out.w,
            table: self.table,
        };
        let words = 4 + window_rows * w.kernel_w;
        let mut channel = 0;
        while channel < image.c {
            let group = self.group(channel);
            for i in 0..ring {
                // SAFETY: a place of the ring.
                unsafe { holds.wrapping_add(i).write(u32::MAX) }
            }
            let mut output = self.output.wrapping_add(channel * many);
            for y in 0..out.h {
                for i in 0..window_rows {
                    // Image row `first` − pad_top begins the pair.
                    let first = y * w.stride_h + 2 * i;
                    // With an even stride every second row begins one.
                    let slot = if ring == window_rows {
                        first / 2
                    } else {
                        first
                    } % ring;
                    let to = places_end.wrapping_add(slot * 8 * pairs);
                    let hold = holds.wrapping_add(slot);
                    // SAFETY: a pair row of the window, and a place of the ring.
                    let held = unsafe {
                        places.wrapping_add(i).write(to.addr() as u32);
                        hold.replace(first as u32)
                    };
                    if held != first as u32 {
                        let row = first.wrapping_sub(w.pad_top);
                        // SAFETY: the pair row lies in the scratch; `group` has seen to channels.
                        unsafe { self.pair_row::<O>(&rows, row, group.first, to) }
                    }
                }
                let mut params = self.params.wrapping_add(channel * many * words);
                for o in 0..group.channels * many {
                    let place = 4 * (group.skip + o / many);
                    // SAFETY: see above. The parameters are whole channels. Table indices are
                    // saturated to −128..127 around its middle. The callee keeps the C ABI and reads
                    // the frame only.
                    unsafe {
                        pupil_m4_dw_any(&raw const frame, params, output.wrapping_add(o), place)
                    }
                    params = params.wrapping_add(words);
                }
                output = output.wrapping_add(out.w * out.c);
            }
            channel += GROUP;
        }
    }
}
