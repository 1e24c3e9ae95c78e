//! Convolution by [`Gemm`]: which columns lie inside the image, and what is put together at its
//! borders. No micro-kernel here.

use super::gemm::{Columns, Gemm};
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
    let w = &f.window;
    if w.is_pointwise() {
        return pointwise(f, &mut gemm, input, output);
    }
    // A column whose rows are no whole words, or that is cut off, needs the buffer.
    let without_border = w.kernel_h == 1 && w.kernel_w == 1;
    if !without_border && !gemm.has_buffer() {
        return false;
    }
    let job = Job::new(f);
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
    /// Output columns whose window lies inside the image.
    inside: core::ops::Range<usize>,
    /// Whether kernel rows are whole words.
    whole_words: bool,
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
        Self {
            f,
            inside: first..end.max(first),
            whole_words: w.kernel_w * f.input.c % 4 == 0,
            outside: f.input_zero_point as i8,
        }
    }

    /// One row of outputs.
    fn row(&self, oy: usize, gemm: &mut Gemm<'_>, input: &[i8], output: &mut [i8]) -> bool {
        let (f, w) = (self.f, &self.f.window);
        let (c, out) = (f.input.c, f.output);
        let rows = w.rows(oy, f.input.h);
        let run = w.kernel_w * c;
        let mut inside = self.inside.clone();
        if rows.is_empty() {
            // Padding only: no row to begin with.
            inside.end = inside.start;
        }
        let borders = out.w - inside.len();
        if borders % 2 == 1 && inside.len() % 2 == 1 {
            // The odd column is the odd border's partner.
            inside.end -= 1;
        }
        let mut left = (0..inside.start).chain(inside.end..out.w);
        while let Some(a) = left.next() {
            let b = left.next().unwrap_or(a);
            self.gather(oy, a, gemm.column_mut(0), input);
            self.gather(oy, b, gemm.column_mut(1), input);
            gemm.run_buffers([a, b].map(|x| (oy * out.w + x) * out.c), output);
        }
        if inside.is_empty() {
            return true;
        }
        let iy = oy * w.stride_h + rows.start - w.pad_top;
        let left = inside.start * w.stride_w - w.pad_left;
        for outside in [0..rows.start, rows.end..w.kernel_h] {
            if !outside.is_empty() {
                let taps = outside.start * run..outside.end * run;
                gemm.fill(taps, self.outside, self.whole_words);
            }
        }
        let columns = Columns {
            input: (iy * f.input.w + left) * c,
            step: w.stride_w * c,
            rows: rows.len(),
            run,
            pitch: f.input.w * c,
            first_tap: rows.start * run,
            count: inside.len(),
            output: (oy * out.w + inside.start) * out.c,
        };
        gemm.run(&columns, input, output)
    }

    /// The bytes under one output pixel, with the zero point outside the image.
    fn gather(&self, oy: usize, ox: usize, bytes: &mut [i8], input: &[i8]) {
        let (f, w) = (self.f, &self.f.window);
        let (c, run) = (f.input.c, w.kernel_w * f.input.c);
        let (rows, columns) = (w.rows(oy, f.input.h), w.columns(ox, f.input.w));
        let left = (ox * w.stride_w + columns.start).saturating_sub(w.pad_left);
        for (ky, row) in bytes.chunks_exact_mut(run).enumerate().take(w.kernel_h) {
            if !rows.contains(&ky) || columns.is_empty() {
                row.fill(self.outside);
                continue;
            }
            let iy = oy * w.stride_h + ky - w.pad_top;
            let from = (iy * f.input.w + left) * c;
            let (before, rest) = row.split_at_mut(columns.start * c);
            let (inside, behind) = rest.split_at_mut(columns.len() * c);
            before.fill(self.outside);
            inside.copy_from_slice(&input[from..from + inside.len()]);
            behind.fill(self.outside);
        }
    }
}
