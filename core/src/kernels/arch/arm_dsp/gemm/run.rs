//! The kernel's calls: which columns, where to, and why nothing outside the maps is touched.
#![allow(unsafe_code)]

use core::marker::PhantomData;

use super::border::{Border, Inside};
use super::frame::{Expand, Frame, PASS, end, entry, mode, pupil_m4_gemm};
use crate::kernels::Operators;
use crate::kernels::arch::operands::Operands;
use crate::op::Filter;
use crate::op::pairs::padded;

/// A layer on its maps: both are long enough for its shapes, the scratch memory for its columns.
#[derive(Debug)]
pub struct Gemm<'a> {
    frame: Frame,
    input: *const i8,
    output: *mut i8,
    /// Bytes of input and output, and taps that the scratch memory has room for.
    #[cfg(debug_assertions)]
    lens: [usize; 3],
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

/// A column at the left or right border of the image.
#[derive(Clone, Copy, Debug)]
pub struct Side {
    /// First byte inside the image of the first row of outputs.
    pub input: usize,
    /// Bytes of a row inside.
    pub len: usize,
    /// The first of these taps.
    pub tap: usize,
    /// First byte of the output.
    pub output: usize,
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
    pub fn new<O: Operators>(f: &Filter<'_>, places: &'a mut Operands<'_>) -> Option<Self> {
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
                passes: 0x80 | u32::from(8 * (taps / 2) > PASS + 8) << 31,
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
                expand: mode,
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
            #[cfg(debug_assertions)]
            lens: [f.input.len(), f.output.len(), taps],
            life: PhantomData,
        })
    }

    /// That a call stays inside: the ends of what it reads and writes, and of its taps.
    #[cfg(debug_assertions)]
    fn assert_inside(&self, [input, output, taps]: [usize; 3]) {
        let [inputs, outputs, all] = self.lens;
        assert!(input <= inputs, "a column reads {input} of {inputs} bytes");
        assert!(
            output <= outputs,
            "a column writes {output} of {outputs} bytes"
        );
        assert!(taps <= all, "a column has {taps} of {all} taps");
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
        #[cfg(debug_assertions)]
        if c.count > 0 && c.lines > 0 {
            let row = c.input + (c.lines - 1) * lines.input + (c.rows - 1) * lines.pitch;
            let input = row + (c.count - 1) * c.step + lines.run;
            let output = c.output + (c.lines - 1) * lines.output + c.count * out_ch;
            // Words beyond an odd row's end are read only where pixels follow.
            let beyond = match expand {
                Expand::Words => lines.run.next_multiple_of(4) - lines.run,
                _ => 0,
            };
            self.assert_inside([input + beyond, output, c.first_tap + c.rows * lines.run]);
        }
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

    /// Computes the outputs of two columns at the border of the image, `count` rows of them. `rows` of
    /// the window's rows lie inside; what does not has the value `outside`, and stays as it is while
    /// each row of outputs brings its own taps inside. `words`: all lengths are multiples of 4.
    ///
    /// # Safety
    /// The rows inside lie in the input of the layer's shape, their taps among the filter's, the
    /// outputs in its output; unless `words` there is a buffer.
    #[inline(always)]
    pub unsafe fn border<O: Operators>(
        &mut self,
        sides: &[Side; 2],
        (rows, count): (usize, usize),
        lines: &Lines,
        outside: i8,
        words: bool,
    ) {
        let (step, out_ch) = (self.buffer_step(), self.frame.out_ch);
        #[cfg(debug_assertions)]
        for side in sides {
            let row = side.input + (count - 1) * lines.input + (rows - 1) * lines.pitch;
            let output = side.output + (count - 1) * lines.output + out_ch;
            self.assert_inside([row + side.len, output, side.tap + side.len]);
        }
        let frame = &mut self.frame;
        let half = u32::from(i16::from(outside) as u16);
        let byte = u32::from(outside as u8);
        // Words to fill, and bytes of a tap and from column to column.
        let (to, all, bytes, column, value, expand) = if words {
            (frame.x, step, 4, 4, half * 0x1_0001, Expand::BorderWords)
        } else {
            let (to, value) = (frame.buffer.cast(), byte * 0x101_0101);
            (to, step / 2, 1, step, value, Expand::BorderBytes)
        };
        for i in 0..all {
            // SAFETY: x has a word for every tap; the buffer has a byte for every tap of both columns.
            // Both begin at multiples of 4.
            unsafe { to.add(i).write(value) }
        }
        let place = |i: usize| {
            let at = bytes * sides[i].tap + i * column;
            Inside {
                to: to.cast::<i8>().wrapping_add(at),
                len: sides[i].len,
            }
        };
        let mut border = Border {
            columns: [place(0), place(1)],
            pitch: lines.pitch,
            run: bytes * lines.run,
            rows,
        };
        frame.destination = (&raw mut border).cast();
        frame.expand = expand.part::<O>();
        frame.input = self.input.wrapping_add(sides[0].input);
        frame.column_step = sides[1].input.wrapping_sub(sides[0].input);
        frame.pair_step = 0;
        let apart = sides[1].output.wrapping_sub(sides[0].output);
        let first = self.output.wrapping_add(sides[0].output);
        frame.out = [first, first.wrapping_add(apart)];
        frame.line_end = frame.out[1].wrapping_add(out_ch);
        frame.lines = count;
        frame.line_step = lines.output;
        frame.line_input = lines.input;
        frame.line_output = lines.output.wrapping_sub(apart + out_ch);
        frame.line_column = apart;
        // SAFETY: `border` outlives the call. Its places and rows are what the caller says, of x or of
        // the buffer, which then expands to all of x. As for the stream, see `run`.
        unsafe { pupil_m4_gemm(frame) }
    }
}
