//! Convolution by [`Gemm`]: which columns lie inside the image, and what is put together at its
//! borders. No micro-kernel here.

use super::gemm::{Border, Columns, Gemm};
use crate::kernels::Filter;

/// Convolution of any kernel and stride; see [`crate::kernels::conv`]. False where the layer is not
/// in the pair layout, or weights, scratch memory or input are misaligned.
pub fn conv(f: &Filter<'_>, input: &[i8], output: &mut [i8], scratch: &mut [i8]) -> bool {
    let lengths = input.len() >= f.input.len() && output.len() >= f.output.len();
    let Some(weights) = f.pairs().filter(|_| lengths) else {
        return false;
    };
    let Some(mut gemm) = Gemm::new(weights, f.out.lookup, scratch) else {
        return false;
    };
    let input = &input[..f.input.len()];
    if f.window.is_pointwise() {
        return pointwise(f, &mut gemm, input, output);
    }
    let job = Job::new(f);
    if !job.whole_words && !gemm.has_buffer() {
        return false;
    }
    (0..f.output.h).all(|oy| job.row(oy, &mut gemm, input, output))
}

/// All pixels in one call; the last two apart where words would reach behind the input.
fn pointwise(f: &Filter<'_>, gemm: &mut Gemm<'_>, input: &[i8], output: &mut [i8]) -> bool {
    let (c, out_ch) = (f.input.c, f.output.c);
    let pixels = f.input.h * f.input.w;
    let apart = if c % 4 == 0 {
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
    (first == 0 || gemm.run(&columns(0, first), input, output))
        && (apart == 0 || gemm.run(&columns(first, apart), input, output))
}

/// What is the same for all rows of a layer.
struct Job<'f> {
    f: &'f Filter<'f>,
    /// Output columns that are computed together, the windows of all inside the image.
    inside: core::ops::Range<usize>,
    /// Whether pixels, and so all parts of kernel rows, are whole words.
    whole_words: bool,
    /// Bytes of a kernel row.
    run: usize,
    /// The input's zero point: what lies outside the image.
    outside: i8,
}

impl<'f> Job<'f> {
    fn new(f: &'f Filter<'f>) -> Self {
        let (w, image, out) = (&f.window, f.input.w, f.output.w);
        let first = w.pad_left.div_ceil(w.stride_w).min(out);
        let end = match (image + w.pad_left).checked_sub(w.kernel_w) {
            Some(room) => (room / w.stride_w + 1).min(out),
            None => 0,
        };
        let mut inside = first..end.max(first);
        if inside.len() % 2 == 1 && (out - inside.len()) % 2 == 1 {
            // The odd column is the odd border's partner.
            inside.end -= 1;
        }
        Self {
            f,
            inside,
            whole_words: f.input.c % 4 == 0,
            run: w.kernel_w * f.input.c,
            outside: f.input_zero_point as i8,
        }
    }

    /// One row of outputs.
    fn row(&self, oy: usize, gemm: &mut Gemm<'_>, input: &[i8], output: &mut [i8]) -> bool {
        let (f, w) = (self.f, &self.f.window);
        let (c, out) = (f.input.c, f.output);
        let rows = w.rows(oy, f.input.h);
        // Rows that are padding only have no row to begin with.
        let inside = if rows.is_empty() {
            0..0
        } else {
            self.inside.clone()
        };
        let first_row = (oy * w.stride_h + rows.start).saturating_sub(w.pad_top) * f.input.w;
        let mut left = (0..inside.start).chain(inside.end..out.w);
        while let Some(a) = left.next() {
            let b = left.next().unwrap_or(a);
            for (column, ox) in [a, b].into_iter().enumerate() {
                let (border, x) = self.border(&rows, ox);
                let from = (first_row + x) * c;
                if !gemm.border(column, &border, from, input, self.whole_words) {
                    return false;
                }
            }
            let outputs = [a, b].map(|x| (oy * out.w + x) * out.c);
            gemm.run_borders(outputs, output, self.whole_words);
        }
        if inside.is_empty() {
            return true;
        }
        for outside in [0..rows.start, rows.end..w.kernel_h] {
            if !outside.is_empty() {
                let taps = outside.start * self.run..outside.end * self.run;
                gemm.fill(taps, self.outside, self.run % 4 == 0);
            }
        }
        let columns = Columns {
            input: (first_row + inside.start * w.stride_w - w.pad_left) * c,
            step: w.stride_w * c,
            rows: rows.len(),
            run: self.run,
            pitch: f.input.w * c,
            first_tap: rows.start * self.run,
            count: inside.len(),
            output: (oy * out.w + inside.start) * out.c,
        };
        gemm.run(&columns, input, output)
    }

    /// What lies under output column `ox` in kernel rows `rows`, and its first image column.
    fn border(&self, rows: &core::ops::Range<usize>, ox: usize) -> (Border, usize) {
        let (f, w) = (self.f, &self.f.window);
        let c = f.input.c;
        let columns = w.columns(ox, f.input.w);
        let x = (ox * w.stride_w + columns.start).saturating_sub(w.pad_left);
        let inside = columns.len() * c;
        let border = Border {
            top: rows.start * self.run,
            before: columns.start * c,
            inside,
            behind: self.run - columns.start * c - inside,
            rows: rows.len(),
            advance: f.input.w * c - inside,
            bottom: (w.kernel_h - rows.end) * self.run,
            outside: u32::from(self.outside as u8) * 0x0101_0101,
        };
        (border, x)
    }
}
