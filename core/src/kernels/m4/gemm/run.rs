//! The kernel behind checks: nothing outside the slices is read or written, whatever the columns.
#![allow(unsafe_code)]

use super::border::{expand_border, gather_border};
use super::columns::{BorderPair, Columns, Lines};
use super::kernel::{Expand, Frame, gemm_2x4};
use crate::kernels::pairs::{BLOCK, Mode, Pairs, padded, stream_len};

/// Weights and scratch memory of a layer, checked once.
#[derive(Debug)]
pub struct Gemm<'a> {
    weights: Pairs<'a>,
    table: Option<&'a [u8; 256]>,
    taps: usize,
    /// Two columns of int16.
    x: &'a mut [i8],
    /// Two columns of int8; empty where all rows are whole words.
    buffer: &'a mut [i8],
}

/// Whether `bytes` begins at a multiple of 4.
pub fn is_aligned<T>(bytes: &[T]) -> bool {
    bytes.as_ptr().addr().is_multiple_of(4)
}

/// Whether a kernel may run over the stream: words at multiples of 4, as many as the shape takes.
/// That its flags are where the kernels stop is true of every [`Pairs`]: they are checked when a
/// model is parsed, and nobody else makes filters.
pub fn is_sound(weights: &Pairs<'_>) -> bool {
    let len = stream_len(weights.taps as u64, weights.out_ch as u64);
    weights.bytes().len() as u64 == len && weights.taps > 0 && is_aligned(weights.bytes())
}

impl<'a> Gemm<'a> {
    /// None where weights or scratch memory are misaligned or short, or there are fewer than four
    /// output channels.
    pub fn new(
        weights: Pairs<'a>,
        table: Option<&'a [u8; 256]>,
        scratch: &'a mut [i8],
    ) -> Option<Self> {
        let taps = padded(weights.taps);
        let has_table = table.is_some() == (weights.mode == Mode::Table);
        if !is_sound(&weights) || weights.out_ch < BLOCK || !has_table || !is_aligned(scratch) {
            return None;
        }
        let (x, rest) = scratch.split_at_mut_checked(4 * taps)?;
        let buffer = rest.get_mut(..2 * taps).unwrap_or(&mut []);
        Some(Self {
            weights,
            table,
            taps,
            x,
            buffer,
        })
    }

    /// Whether columns of any bytes can be gathered.
    pub fn has_buffer(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Expands `value` as the taps of `range` of both columns, for rows outside the image. Holds
    /// for [`Gemm::run`] with columns that leave these taps out.
    pub fn fill(&mut self, range: core::ops::Range<usize>, value: i8, whole_words: bool) {
        if whole_words {
            let [a, b] = i16::from(value).to_le_bytes().map(|b| b as i8);
            let taps = self.x.get_mut(4 * range.start..4 * range.end);
            let (words, _) = taps.unwrap_or(&mut []).as_chunks_mut::<4>();
            words.fill([a, b, a, b]);
        } else {
            for column in [0, self.taps] {
                let range = column + range.start..column + range.end;
                self.buffer.get_mut(range).unwrap_or(&mut []).fill(value);
            }
        }
    }

    /// Computes the outputs of `columns` in all `lines`. False where they lie outside the slices or
    /// the mode wants what the input has not; nothing is written then.
    pub fn run(
        &mut self,
        columns: &Columns,
        lines: &Lines,
        input: &[i8],
        output: &mut [i8],
    ) -> bool {
        let Some(expand) = self.plan(columns, lines, input, output) else {
            return false;
        };
        let pairs = columns.count / 2;
        if pairs > 0 {
            self.call(columns, lines, expand, pairs, input, output);
        }
        if columns.count % 2 == 1 {
            let last = Columns {
                input: columns.input + 2 * pairs * columns.step,
                output: columns.output + 2 * pairs * self.weights.out_ch,
                step: 0,
                ..*columns
            };
            self.call(&last, lines, expand, 1, input, output);
        }
        true
    }

    /// How to expand, if everything lies inside.
    fn plan(&self, c: &Columns, lines: &Lines, input: &[i8], output: &[i8]) -> Option<Expand> {
        if c.count == 0 || c.rows == 0 || c.run == 0 {
            return None;
        }
        let out_len = c.count.checked_mul(self.weights.out_ch)?;
        let last_column = (c.count - 1).checked_mul(c.step)?;
        let last_row = (c.rows - 1).checked_mul(c.pitch)?;
        let before = c.input.checked_add(last_column)?.checked_add(last_row)?;
        let ends = lines.ends(before.checked_add(c.run)?, c.output.checked_add(out_len)?);
        let (end, out_end) = ends?;
        let taps = c.first_tap.checked_add(c.rows.checked_mul(c.run)?)?;
        if out_end > output.len() || end > input.len() || taps > self.weights.taps {
            return None;
        }
        let places = c.input | c.step | c.pitch | c.run | c.first_tap | lines.input;
        let words = places.is_multiple_of(4) && is_aligned(input);
        let eights = words && c.run.is_multiple_of(8);
        if self.weights.mode == Mode::ReluDoubled {
            return (eights && c.rows == 1).then_some(Expand::EightsDoubled);
        }
        if eights {
            return Some(Expand::Eights);
        }
        let whole = (c.run | c.first_tap).is_multiple_of(4);
        // A single row of any length is read up to the next multiple of 4 of its own length.
        let read = end.checked_add(c.run.wrapping_neg() % 4)?;
        if (whole || c.run == self.weights.taps) && read <= input.len() {
            return Some(Expand::Words);
        }
        if c.run == 9 && c.rows == 3 && self.weights.taps == 27 {
            return Some(Expand::ThreeByThree);
        }
        self.has_buffer().then_some(Expand::Bytes)
    }

    fn call(
        &mut self,
        c: &Columns,
        lines: &Lines,
        expand: Expand,
        pairs: usize,
        input: &[i8],
        output: &mut [i8],
    ) {
        let first = output.as_mut_ptr().wrapping_add(c.output);
        let (column, out_len) = match c.step {
            0 => (0, self.weights.out_ch),
            _ => (self.weights.out_ch, 2 * pairs * self.weights.out_ch),
        };
        let (destination, tap_bytes): (*mut u8, _) = if expand == Expand::Bytes {
            (self.buffer.as_mut_ptr().cast(), 1)
        } else {
            (self.x.as_mut_ptr().cast(), 4)
        };
        let tap = |tap: usize| destination.wrapping_add(tap_bytes * tap);
        // Whole rows are expanded, up to a multiple of 4.
        let last = match expand {
            Expand::Words => c.first_tap + c.rows * c.run.next_multiple_of(4),
            _ => c.first_tap + c.rows * c.run,
        };
        let frame = Frame {
            input: input.as_ptr().wrapping_add(c.input),
            pair_step: 2 * c.step,
            column_step: c.step,
            destination: tap(c.first_tap),
            destination_end: tap(last),
            row_advance: c.pitch.wrapping_sub(c.run),
            run: c.run,
            out: [first, first.wrapping_add(column)],
            lines: lines.count,
            line_end: first.wrapping_add(out_len),
            line_step: lines.output,
            line_input: lines.input.wrapping_sub(2 * pairs * c.step),
            line_output: lines.output.wrapping_sub(out_len),
            line_column: column,
            ..self.frame(expand)
        };
        // SAFETY: `plan` has proven for all columns of `c` in all lines, of which these are some,
        // that their rows lie in the input, also as far as words reach behind them, that their taps
        // lie in x (or, gathered, in the buffer) and their outputs in the output, and that
        // addresses are multiples of 4 where LDM reads. A single column has step 0: both columns
        // and outputs are the same. `is_sound` tells why the stream is right.
        unsafe { gemm_2x4(&raw const frame) }
    }

    /// Computes two columns at the border in all `lines`. `whole_words`: all lengths are multiples
    /// of 4. False where they do not fit; nothing is written then.
    pub fn run_borders(
        &mut self,
        pair: &BorderPair,
        lines: &Lines,
        whole_words: bool,
        input: &[i8],
        output: &mut [i8],
    ) -> bool {
        let out_ch = self.weights.out_ch;
        let fits = (0..2).all(|i| {
            let (b, from, out) = (&pair.borders[i], pair.from[i], pair.outputs[i]);
            let taps = b.top + b.rows * (b.before + b.inside + b.behind) + b.bottom;
            let lengths = b.top | b.before | b.inside | b.behind | b.bottom;
            let read = b.rows.saturating_sub(1) * (b.inside + b.advance) + b.inside;
            let ends = lines.ends(from + read, out + out_ch);
            let inside = ends.is_some_and(|(input_end, output_end)| {
                (input_end <= input.len() || b.rows == 0) && output_end <= output.len()
            });
            inside && taps == self.weights.taps && (!whole_words || lengths.is_multiple_of(4))
        });
        let ready = whole_words || self.has_buffer();
        if !fits || !ready || self.weights.mode == Mode::ReluDoubled {
            return false;
        }
        let expand = if whole_words {
            Expand::Nothing
        } else if self.taps.is_multiple_of(8) {
            Expand::Eights
        } else {
            Expand::Words
        };
        let x: *mut u8 = self.x.as_mut_ptr().cast();
        let buffer = self.buffer.as_mut_ptr();
        let mut frame = Frame {
            input: buffer,
            column_step: self.taps,
            destination: x,
            destination_end: x.wrapping_add(4 * self.taps),
            run: self.taps,
            ..self.frame(expand)
        };
        for line in 0..lines.count {
            for column in 0..2 {
                let border = &raw const pair.borders[column];
                let from = input
                    .as_ptr()
                    .wrapping_add(pair.from[column] + line * lines.input);
                // SAFETY: the rows lie in the input. Either x begins at a multiple of 4 and holds
                // two words for every two taps, of which the column's are every second one; or the
                // buffer holds more bytes for each column than there are taps.
                unsafe {
                    if whole_words {
                        expand_border(from, x.wrapping_add(4 * column).cast(), border);
                    } else {
                        gather_border(from, buffer.wrapping_add(column * self.taps), border);
                    }
                }
                let out = pair.outputs[column] + line * lines.output;
                frame.out[column] = output.as_mut_ptr().wrapping_add(out);
            }
            frame.line_end = frame.out[1].wrapping_add(out_ch);
            // SAFETY: both columns are the buffer's two halves of `taps` bytes (a multiple of 4,
            // and the buffer begins at one), and expand to all of x, or x is what the kernel reads.
            // Both outputs of `out_ch` bytes lie in `output`. `is_sound` tells why the stream is
            // right.
            unsafe { gemm_2x4(&raw const frame) }
        }
        true
    }

    fn frame(&mut self, expand: Expand) -> Frame {
        let x = self.x.as_mut_ptr();
        Frame {
            x: x.cast(),
            out: [core::ptr::null_mut(); 2],
            x_end: x.wrapping_add(4 * self.taps).cast(),
            stream: self.weights.bytes().as_ptr(),
            out_ch: self.weights.out_ch,
            line_end: core::ptr::null_mut(),
            rest: self.weights.out_ch % BLOCK,
            input: core::ptr::null(),
            pair_step: 0,
            column_step: 0,
            destination: core::ptr::null_mut(),
            destination_end: core::ptr::null_mut(),
            row_advance: 0,
            run: 0,
            table: self.table.map_or(core::ptr::null(), |t| t.as_ptr()),
            buffer: self.buffer.as_mut_ptr().cast(),
            steps: self.taps / 2,
            mode: match self.weights.mode {
                Mode::Relu => 0,
                Mode::ReluDoubled => 1,
                Mode::General => 2,
                Mode::Table => 3,
            },
            expand: expand as usize,
            lines: 1,
            line_step: 0,
            line_input: 0,
            line_output: 0,
            line_column: 0,
        }
    }
}
