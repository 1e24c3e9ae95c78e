//! Convolution by [`Gemm`]: which columns lie inside the image, and what is put together at its
//! borders. No micro-kernel here.

use core::ops::Range;

use super::gemm::{Border, BorderPair, Columns, Gemm, Lines};
use crate::kernels::{Filter, OperatorSet, Operators};

/// Convolution of any kernel and stride; see [`crate::kernels::conv`]. False where the layer is not
/// in the pair layout, or weights, scratch memory or input are misaligned.
pub fn conv<O: Operators>(
    f: &Filter<'_>,
    input: &[i8],
    output: &mut [i8],
    scratch: &mut [i8],
) -> bool {
    let lengths = input.len() >= f.input.len() && output.len() >= f.output.len();
    let Some(weights) = f.pairs().filter(|_| lengths) else {
        return false;
    };
    let Some(mut gemm) = Gemm::new(weights, f.out.lookup, scratch) else {
        return false;
    };
    let input = &input[..f.input.len()];
    if f.window.is_pointwise() {
        return O::SET.has(OperatorSet::POINTWISE) && pointwise(f, &mut gemm, input, output);
    }
    if !O::SET.has(OperatorSet::CONV) {
        return false;
    }
    let job = Job::new(f);
    if !job.whole_words && !gemm.has_buffer() {
        return false;
    }
    // Rows whose windows are inside the image from above to below run together.
    let (inside, all) = (job.inside_rows.clone(), f.output.h);
    let mut alone = (0..inside.start).chain(inside.end..all);
    alone.all(|oy| job.rows(oy..oy + 1, &mut gemm, input, output))
        && (inside.is_empty() || job.rows(inside, &mut gemm, input, output))
}

/// All pixels in one call; the last two apart where words would reach behind the input.
fn pointwise(f: &Filter<'_>, gemm: &mut Gemm<'_>, input: &[i8], output: &mut [i8]) -> bool {
    let (c, out_ch) = (f.input.c, f.output.c);
    let pixels = f.input.h * f.input.w;
    let apart = if c.is_multiple_of(4) {
        0
    } else {
        pixels.min(2 - pixels % 2)
    };
    let columns = |first: usize, count: usize| Columns {
        input: first * c,
        step: c,
        rows: 1,
        run: c,
        pitch: c,
        first_tap: 0,
        count,
        output: first * out_ch,
    };
    let first = pixels - apart;
    (first == 0 || gemm.run(&columns(0, first), &Lines::ONE, input, output))
        && (apart == 0 || gemm.run(&columns(first, apart), &Lines::ONE, input, output))
}

/// What is the same for all rows of a layer.
struct Job<'f> {
    f: &'f Filter<'f>,
    /// Output rows whose windows lie inside the image from above to below.
    inside_rows: Range<usize>,
    /// Output columns that are computed together, the windows of all inside from left to right.
    inside: Range<usize>,
    /// Whether pixels, and so all parts of kernel rows, are whole words.
    whole_words: bool,
    /// Bytes of a kernel row.
    run: usize,
    /// The input's zero point: what lies outside the image.
    outside: i8,
}

/// Outputs along an axis whose windows lie inside the image.
fn inside(kernel: usize, stride: usize, pad: usize, image: usize, out: usize) -> Range<usize> {
    let first = pad.div_ceil(stride).min(out);
    let end = match (image + pad).checked_sub(kernel) {
        Some(room) => (room / stride + 1).min(out),
        None => 0,
    };
    first..end.max(first)
}

impl<'f> Job<'f> {
    fn new(f: &'f Filter<'f>) -> Self {
        let (w, image, out) = (&f.window, f.input, f.output);
        let mut columns = inside(w.kernel_w, w.stride_w, w.pad_left, image.w, out.w);
        if columns.len() % 2 == 1 && (out.w - columns.len()) % 2 == 1 {
            // The odd column is the odd border's partner.
            columns.end -= 1;
        }
        Self {
            f,
            inside_rows: inside(w.kernel_h, w.stride_h, w.pad_top, image.h, out.h),
            inside: columns,
            whole_words: image.c.is_multiple_of(4),
            run: w.kernel_w * image.c,
            outside: f.input_zero_point as i8,
        }
    }

    /// Rows of outputs, whose windows are all cut off alike: one row, or some of `inside_rows`.
    #[inline(never)]
    fn rows(
        &self,
        lines: Range<usize>,
        gemm: &mut Gemm<'_>,
        input: &[i8],
        output: &mut [i8],
    ) -> bool {
        let (f, w) = (self.f, &self.f.window);
        let (c, out, oy) = (f.input.c, f.output, lines.start);
        let rows = w.rows(oy, f.input.h);
        let pitch = f.input.w * c;
        let lines = Lines {
            count: lines.len(),
            input: w.stride_h * pitch,
            output: out.w * out.c,
        };
        // Rows that are padding only have no row to begin with.
        let inside = if rows.is_empty() {
            0..0
        } else {
            self.inside.clone()
        };
        let first_row = (oy * w.stride_h + rows.start).saturating_sub(w.pad_top) * pitch;
        let mut left = (0..inside.start).chain(inside.end..out.w);
        while let Some(a) = left.next() {
            let pair = [a, left.next().unwrap_or(a)];
            let borders = pair.map(|ox| self.border(&rows, ox));
            let pair = BorderPair {
                borders: borders.map(|b| b.0),
                from: borders.map(|b| first_row + b.1),
                outputs: pair.map(|ox| (oy * out.w + ox) * out.c),
            };
            if !gemm.run_borders(&pair, &lines, self.whole_words, input, output) {
                return false;
            }
        }
        if inside.is_empty() {
            return true;
        }
        for outside in [0..rows.start, rows.end..w.kernel_h] {
            if !outside.is_empty() {
                let taps = outside.start * self.run..outside.end * self.run;
                gemm.fill(taps, self.outside, self.run.is_multiple_of(4));
            }
        }
        let columns = Columns {
            input: first_row + (inside.start * w.stride_w - w.pad_left) * c,
            step: w.stride_w * c,
            rows: rows.len(),
            run: self.run,
            pitch,
            first_tap: rows.start * self.run,
            count: inside.len(),
            output: (oy * out.w + inside.start) * out.c,
        };
        gemm.run(&columns, &lines, input, output)
    }

    /// What lies under output column `ox` in kernel rows `rows`, and the byte of an image row that
    /// it begins with.
    fn border(&self, rows: &Range<usize>, ox: usize) -> (Border, usize) {
        let (f, w) = (self.f, &self.f.window);
        let c = f.input.c;
        let columns = w.columns(ox, f.input.w);
        let x = (ox * w.stride_w + columns.start).saturating_sub(w.pad_left);
        let (before, inside) = (columns.start * c, columns.len() * c);
        let border = Border {
            top: rows.start * self.run,
            before,
            inside,
            behind: self.run - before - inside,
            rows: rows.len(),
            advance: f.input.w * c - inside,
            bottom: (w.kernel_h - rows.end) * self.run,
            outside: u32::from(self.outside as u8) * 0x0101_0101,
        };
        (border, x * c)
    }
}
