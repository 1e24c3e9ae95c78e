//! Convolution by [`Gemm`]: which columns lie inside the image, and what is put together at its
//! borders.
#![allow(unsafe_code)] // hands places to the micro-kernel, with the proof that they exist

use core::ops::Range;

use super::gemm::{Columns, Expand, Gemm, Lines, Side};
use crate::kernels::arch::operands::Operands;
use crate::kernels::{OperatorSet as Set, Operators};
use crate::op::Filter;
use crate::op::pairs::Mode;

/// Convolution of any kernel and stride in the pair layout; see [`crate::kernels::conv`]. False, with
/// nothing written, where the layer's code is not linked; [`run`](super::run::run) has checked the
/// places.
#[inline(never)]
pub(super) fn conv<O: Operators>(f: &Filter<'_>, places: &mut Operands<'_>) -> bool {
    let (w, image) = (&f.window, f.input);
    let point = w.is_pointwise();
    let words = image.c.is_multiple_of(4);
    let linked = if point {
        Set::POINTWISE
    } else if words {
        Set::CONV
    } else {
        Set::CONV_ODD
    };
    if !O::SET.has(linked) {
        return false;
    }
    let gemm = Gemm::new::<O>(f, places);
    let Some(mut gemm) = gemm else {
        return false;
    };
    let lines = Lines {
        run: w.kernel_w * image.c,
        pitch: image.w * image.c,
        input: w.stride_h * image.w * image.c,
        output: f.output.w * f.output.c,
    };
    if point {
        if O::SET.has(Set::POINTWISE) {
            pointwise::<O>(f, words, &mut gemm, &lines);
        }
    } else if O::SET.has_any(Set::CONV.with(Set::CONV_ODD)) {
        // One constant where the program has only one kind.
        let words = O::SET.has(Set::CONV) && (words || !O::SET.has(Set::CONV_ODD));
        windows::<O>(f, words, &mut gemm, &lines);
    }
    true
}

/// How whole rows of whole columns are expanded. [`Set::of`] has the same cases.
fn way<O: Operators>(f: &Filter<'_>, words: bool, run: usize, rows: usize) -> Expand {
    if O::SET.has(Set::CONV_EIGHTS) && words && run.is_multiple_of(8) {
        Expand::Eights
    } else if O::SET.has(Set::CONV_WORDS) && run.is_multiple_of(4) {
        Expand::Words
    } else if O::SET.has(Set::CONV_THREE) && run == 9 && rows == 3 && f.taps == 27 {
        Expand::ThreeByThree
    } else {
        Expand::Bytes
    }
}

/// All pixels in one call; the last two apart where words would reach behind the input.
///
/// Why every place is inside: the parser's `check_window` has both maps of one height and width, so
/// that the output's pixels are the input's.
#[inline(always)]
fn pointwise<O: Operators>(f: &Filter<'_>, words: bool, gemm: &mut Gemm<'_>, lines: &Lines) {
    let pixels = f.output.h * f.output.w;
    let mut columns = Columns {
        input: 0,
        step: f.input.c,
        rows: 1,
        first_tap: 0,
        count: pixels,
        output: 0,
        lines: 1,
    };
    let doubled = O::SET.has(Set::CONV_DOUBLED)
        && f.pairs()
            .is_some_and(|pairs| pairs.mode == Mode::ReluDoubled);
    if doubled {
        // SAFETY: the columns are the input's pixels, of channels in eights, which the parser has
        // seen to, and the outputs are the output's.
        unsafe { gemm.run::<O>(&columns, lines, Expand::EightsDoubled) }
    } else if !O::SET.has(Set::CONV_BYTES) || words {
        let way = way::<O>(f, true, f.input.c, 1);
        // SAFETY: as above, of channels in fours.
        unsafe { gemm.run::<O>(&columns, lines, way) }
    } else {
        // Of channels that are fewer than three words would reach further.
        let apart = if f.input.c < 3 {
            pixels
        } else {
            pixels.min(2 - pixels % 2)
        };
        columns.count = pixels - apart;
        if columns.count > 0 {
            // SAFETY: as above; up to 3 bytes behind these pixels are those of the last ones.
            unsafe { gemm.run::<O>(&columns, lines, Expand::Words) }
        }
        columns.input = columns.count * f.input.c;
        columns.output = columns.count * f.output.c;
        columns.count = apart;
        // SAFETY: as above, byte by byte; the buffer is there because pixels are no whole words.
        unsafe { gemm.run::<O>(&columns, lines, Expand::Bytes) }
    }
}

/// Outputs along an axis whose windows lie inside the image.
#[inline(never)]
fn inside(kernel: usize, stride: usize, pad: usize, image: usize, out: usize) -> Range<usize> {
    let first = pad.div_ceil(stride.max(1)).min(out);
    // From where on a window reaches over the end; none inside has been cut off before.
    let end = (image + pad + stride).saturating_sub(kernel) / stride.max(1);
    first..end.min(out).max(first)
}

/// All other windows: rows whose windows are cut off above or below one by one, the others together.
#[inline(always)]
fn windows<O: Operators>(f: &Filter<'_>, words: bool, gemm: &mut Gemm<'_>, lines: &Lines) {
    let (w, image, out) = (&f.window, f.input, f.output);
    let whole = inside(w.kernel_h, w.stride_h, w.pad_top, image.h, out.h);
    let mut columns = inside(w.kernel_w, w.stride_w, w.pad_left, image.w, out.w);
    if columns.len() % 2 == 1 && (out.w - columns.len()) % 2 == 1 {
        // The odd column is the odd border's partner.
        columns.end -= 1;
    }
    let mut oy = 0;
    while oy < out.h {
        let count = if oy == whole.start && !whole.is_empty() {
            whole.len()
        } else {
            1
        };
        rows::<O>(f, words, gemm, lines, oy, count, &columns);
        oy += count;
    }
}

/// `count` rows of outputs from `oy` on, whose windows are all cut off alike.
///
/// Why every place is inside: of each window at least one row and one column lie in the image (the
/// parser's `check_window`), [`Window::rows`](crate::op::shape::Window::rows) and `columns` give exactly
/// those that do, and `columns` are outputs whose windows are inside from left to right.
#[inline(always)]
fn rows<O: Operators>(
    f: &Filter<'_>,
    words: bool,
    gemm: &mut Gemm<'_>,
    lines: &Lines,
    oy: usize,
    count: usize,
    columns: &Range<usize>,
) {
    let (w, image, out) = (&f.window, f.input, f.output);
    let (c, run) = (image.c, lines.run);
    let taps = w.rows(oy, image.h);
    let (top, bottom) = (taps.start * run, taps.end * run);
    let first_row = (oy * w.stride_h + taps.start).wrapping_sub(w.pad_top) * lines.pitch;
    let outside = f.input_zero_point as i8;
    // Columns at the borders, in twos; an odd last one is both of its pair.
    let borders = out.w - columns.len();
    for next in (0..borders).step_by(2) {
        let sides: [Side; 2] = core::array::from_fn(|i| {
            let index = (next + i).min(borders - 1);
            let ox = if index < columns.start {
                index
            } else {
                index + columns.len()
            };
            let inside = w.columns(ox, image.w);
            let left = (ox * w.stride_w + inside.start).wrapping_sub(w.pad_left);
            Side {
                input: first_row + left * c,
                len: inside.len() * c,
                tap: top + inside.start * c,
                output: (oy * out.w + ox) * out.c,
            }
        });
        // SAFETY: see above; a row further down is `lines` further in both maps. Pixels that are no
        // whole words have a buffer.
        unsafe { gemm.border::<O>(&sides, (taps.len(), count), lines, outside, words) }
    }
    if columns.is_empty() {
        return;
    }
    let way = way::<O>(f, words, run, taps.len());
    for range in [0..top, bottom..f.taps] {
        // SAFETY: some of the filter's taps, and the buffer as above.
        unsafe { gemm.fill(range, outside, way != Expand::Bytes) }
    }
    let columns = Columns {
        input: first_row + (columns.start * w.stride_w - w.pad_left) * c,
        step: w.stride_w * c,
        rows: taps.len(),
        first_tap: top,
        count: columns.len(),
        output: (oy * out.w + columns.start) * out.c,
        lines: count,
    };
    // SAFETY: see above. Rows that are read as words are multiples of 4.
    unsafe { gemm.run::<O>(&columns, lines, way) }
}
