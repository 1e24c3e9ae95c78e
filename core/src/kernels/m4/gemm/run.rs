//! The kernel's calls: which columns, where to, and why nothing outside the maps is touched.
#![allow(unsafe_code)]

use core::marker::PhantomData;

use super::border::{Border, expand_border, gather_border};
use super::kernel::{Expand, Frame, PASS, end, entry, mode, pupil_m4_gemm};
use crate::kernels::m4::run::Places;
use crate::kernels::pairs::padded;
use crate::kernels::{Filter, Operators};

/// A layer on its maps: both are long enough for its shapes, the scratch memory for its columns.
#[derive(Debug)]
pub struct Gemm<'a> {
    frame: Frame,
    input: *const i8,
    output: *mut i8,
    life: PhantomData<(&'a [i8], &'a mut [i8])>,
}

/// Rows of outputs, and which of their columns a call computes.
#[derive(Clone, Copy, Debug)]
pub struct Columns {
    /// First byte of the first column.
    pub input: usize,
    /// Bytes from a column to the next.
    pub step: usize,
    /// Rows of a column.
    pub rows: usize,
    /// Tap that the first row begins with.
    pub first_tap: usize,
    /// Columns; an odd last one costs as much as two.
    pub count: usize,
    /// First byte of the first column's output; the others follow.
    pub output: usize,
    /// Rows of outputs.
    pub lines: usize,
}

/// What is the same for all calls of a layer.
#[derive(Clone, Copy, Debug)]
pub struct Lines {
    /// Bytes of a column's row.
    pub run: usize,
    /// Bytes from a row to the next.
    pub pitch: usize,
    /// Bytes from an output row's first input byte to the next row's.
    pub input: usize,
    /// Bytes from an output row to the next.
    pub output: usize,
}

impl<'a> Gemm<'a> {
    /// None where the layer is not in the pair layout, or its mode is not linked. The places have been
    /// checked: maps as long as the layer's shapes, scratch memory as long as its columns want, and
    /// all of it and the weights at multiples of 4.
    #[inline(always)]
    pub fn new<O: Operators>(f: &Filter<'_>, places: &'a mut Places<'_>) -> Option<Self> {
        let weights = f.pairs()?;
        let taps = padded(f.taps);
        let (input, output) = places.maps.places();
        let scratch = &mut places.scratch;
        let x = scratch.as_mut_ptr();
        let buffer = x.wrapping_add(4 * taps);
        let (mode, finish) = mode::<O>(weights.mode)?;
        Some(Self {
            frame: Frame {
                x: x.cast(),
                // The first step of a block is apart.
                passes: 0x80 | u32::from(8 * (taps / 2 - 1) > PASS) << 31,
                out: [core::ptr::null_mut(); 2],
                columns: x.cast(),
                stream: f.weights.as_ptr(),
                out_ch: f.output.c,
                line_end: core::ptr::null_mut(),
                input: core::ptr::null(),
                column_step: 0,
                destination: x,
                run: 0,
                row_advance: 0,
                pair_step: 0,
                destination_end: x,
                table: f.out.lookup.map_or(core::ptr::null(), |t| t.as_ptr()),
                buffer,
                entry: entry(taps / 2),
                mode,
                expand: Expand::Nothing.part::<O>(),
                lines: 1,
                line_step: 0,
                line_input: 0,
                line_output: 0,
                line_column: 0,
                finish,
                more: buffer.wrapping_sub(PASS + 1).cast(),
                end: end::<O>(f.output.c),
            },
            input,
            output,
            life: PhantomData,
        })
    }

    /// Sets the taps of `range` of both columns to `value`, for rows outside the image: in the
    /// expanded columns, or unless `expanded` in the buffer that [`Expand::Bytes`] gathers. Holds for
    /// [`Gemm::run`] with columns that leave these taps out.
    ///
    /// # Safety
    /// The taps are some of the filter's; unless `expanded` there is a buffer.
    #[inline(always)]
    pub unsafe fn fill(&mut self, range: core::ops::Range<usize>, value: i8, expanded: bool) {
        let half = u32::from(i16::from(value) as u16);
        for tap in range {
            // SAFETY: x has a word for every tap, the buffer a byte for every tap of each column.
            unsafe {
                if expanded {
                    self.frame.x.add(tap).write(half * 0x1_0001);
                } else {
                    self.frame.buffer.add(tap).write(value);
                    self.frame.buffer.add(self.buffer_step() + tap).write(value);
                }
            }
        }
    }

    /// Bytes between both columns' taps in the buffer.
    fn buffer_step(&self) -> usize {
        (self.frame.buffer.addr() - self.frame.x.addr()) / 4
    }

    /// Computes the outputs of `c`.
    ///
    /// # Safety
    /// All rows of all columns lie in the input of the layer's shape, their taps among the filter's,
    /// and their outputs in its output. `expand` fits them; [`Expand::Words`] may read 3 bytes more
    /// than an odd row has.
    #[inline(never)]
    pub unsafe fn run<O: Operators>(&mut self, c: &Columns, lines: &Lines, expand: Expand) {
        let out_ch = self.frame.out_ch;
        let frame = &mut self.frame;
        let (destination, tap_bytes) = match expand {
            Expand::Bytes => (frame.buffer, 1),
            _ => (frame.x.cast(), 4),
        };
        // Words are expanded up to a multiple of 4.
        let taps = match expand {
            Expand::Words => c.rows * lines.run.next_multiple_of(4),
            _ => c.rows * lines.run,
        };
        frame.expand = expand.part::<O>();
        frame.destination = destination.wrapping_add(tap_bytes * c.first_tap);
        frame.destination_end = frame.destination.wrapping_add(tap_bytes * taps);
        frame.run = lines.run;
        frame.row_advance = lines.pitch.wrapping_sub(lines.run);
        frame.lines = c.lines;
        frame.line_step = lines.output;
        let mut first = self.output.wrapping_add(c.output);
        frame.input = self.input.wrapping_add(c.input);
        // The pairs, and an odd last column as both of a pair.
        let even = c.count & !1;
        for (count, columns, step) in [(even, 2, c.step), (c.count % 2, 0, 0)] {
            if count > 0 {
                let len = count * out_ch;
                frame.column_step = step;
                frame.pair_step = 2 * step;
                frame.line_column = if columns == 0 { 0 } else { out_ch };
                frame.out = [first, first.wrapping_add(frame.line_column)];
                frame.line_end = first.wrapping_add(len);
                frame.line_input = lines.input.wrapping_sub(count * step);
                frame.line_output = lines.output.wrapping_sub(len);
                // SAFETY: the caller has seen to the places of rows, taps and outputs, `new` to
                // alignment. The stream is right: a filter is only made of a parsed model, where
                // `Pairs::check` has proven its length and flags.
                unsafe { pupil_m4_gemm(frame) }
                first = frame.line_end;
                frame.input = self.input.wrapping_add(c.input + count * step);
            }
        }
    }

    /// Expands a column at the border of the image, whose first byte inside is `from` and whose
    /// outputs begin at `output`: column 0, and then column 1, with which both are computed.
    /// `whole_words`: all lengths are multiples of 4.
    ///
    /// # Safety
    /// The rows inside lie in the input of the layer's shape, the outputs in its output; a border's
    /// taps are those of the filter, and unless `whole_words` there is a buffer.
    #[inline(always)]
    pub unsafe fn border<O: Operators>(
        &mut self,
        column: usize,
        border: &Border,
        from: usize,
        output: usize,
        whole_words: bool,
    ) {
        let step = self.buffer_step();
        let from = self.input.wrapping_add(from);
        let frame = &mut self.frame;
        frame.out[column & 1] = self.output.wrapping_add(output);
        // SAFETY: the rows lie in the input. Either x begins at a multiple of 4 and holds two words
        // for every two taps, of which the column's are every second one; or the buffer holds as many
        // bytes for each column as there are taps.
        unsafe {
            if whole_words {
                expand_border(from, frame.x.wrapping_add(column), border);
            } else {
                gather_border(from, frame.buffer.wrapping_add(column * step), border);
            }
        }
        if column == 0 {
            return;
        }
        let expand = if whole_words {
            Expand::Nothing
        } else {
            Expand::Words
        };
        frame.expand = expand.part::<O>();
        frame.input = frame.buffer;
        frame.column_step = step;
        frame.destination = frame.x.cast();
        frame.destination_end = frame.buffer;
        frame.run = step;
        frame.lines = 1;
        frame.line_end = frame.out[1].wrapping_add(frame.out_ch);
        // SAFETY: both columns are the buffer's two halves (multiples of 4), and expand to all of x,
        // or x is what the kernel reads. Both outputs lie in the output. As for the stream, see
        // `run`.
        unsafe { pupil_m4_gemm(frame) }
    }
}
