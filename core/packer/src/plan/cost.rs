//! Instructions of a layer, or of a band of its rows, on a Cortex-M4.
//!
//! `docs/kernels.md` derives what the loops cost; what is between them (calls, borders, the loop
//! over steps) has been counted in QEMU. `cargo xtask bench` prints sums of this beside the counts.

use pupil_core::op::pairs::padded;
use pupil_core::op::row_pairs::{Form, Kernel};
use pupil_core::op::shape::Shape;
use pupil_core::op::{Filter, Layout, Operator};

/// Instructions of a step around its kernel: the layer's record, its places, the choice of the kernel.
pub(super) const STEP: u64 = 1700;

/// Instructions of a turn of a stream beyond [`STEP`]: who is next, where rows lie.
pub(super) const TURN: u64 = 1100;

/// Instructions for `bytes` that move to the front of a line buffer.
pub(super) const fn moved(bytes: usize) -> u64 {
    if bytes == 0 {
        0
    } else {
        60 + bytes as u64 * 5 / 8
    }
}

/// Instructions of an operator on a Cortex-M4, within a few percent.
pub fn instructions(operator: &Operator<'_>) -> u64 {
    let rows = match operator {
        Operator::Conv(f) | Operator::Depthwise(f) => f.output().h,
        Operator::AveragePool(p) | Operator::MaxPool(p) => p.output.h,
        _ => 1,
    };
    rows_of(operator, rows)
}

/// The same for `rows` rows of the output, of operators that have a window.
pub(super) fn rows_of(operator: &Operator<'_>, rows: usize) -> u64 {
    let of = |output: Shape| Shape { h: rows, ..output };
    match operator {
        Operator::Conv(f) if f.layout() == Layout::Natural => natural(f, of(f.output())),
        Operator::Conv(f) => gemm(f, of(f.output())),
        Operator::Depthwise(f) => depthwise(f, of(f.output())),
        Operator::Dense(f) => dense(f),
        Operator::AveragePool(p) | Operator::MaxPool(p) => {
            let taps = p.window.kernel_h * p.window.kernel_w;
            (of(p.output).len() * (taps * 3 / 4 + 8) + 300) as u64
        }
        Operator::Mean(p) => sums(p.input.len()) + MEAN * p.input.c as u64,
        Operator::Add(_) | Operator::Lookup(_) | Operator::Mul(_) => 150,
        Operator::Softmax(_) => 3000,
    }
}

/// What operators that work value by value cost beyond [`instructions`], for `n` values of the
/// output.
pub(super) fn by_value(operator: &Operator<'_>, n: usize) -> u64 {
    let n = n as u64;
    match operator {
        Operator::Add(p) if p.table.is_some() => n * 37 / 4,
        Operator::Add(_) => n * 70,
        Operator::Mul(p) if p.output_zero_point == -128 => n * 11 / 2 + 8 * p.ch as u64,
        Operator::Mul(p) => n * 7 + 8 * p.ch as u64,
        Operator::Lookup(_) => n * 7 / 2,
        _ => 0,
    }
}

/// Instructions per channel of a mean, from its sum on.
pub(super) const MEAN: u64 = 43;

/// Instructions of the channels' sums of `n` values.
pub(super) const fn sums(n: usize) -> u64 {
    (n * 2 / 3 + 150) as u64
}

fn natural(f: &Filter<'_>, out: Shape) -> u64 {
    (out.len() * (f.taps() * 2 + 30)) as u64
}

/// Two columns by four channels: see `arm_dsp/gemm` in core.
fn gemm(f: &Filter<'_>, out: Shape) -> u64 {
    let w = f.window();
    let steps = padded(f.taps()) / 2;
    let doubled = f.layout() == Layout::PairsDoubled;
    let outputs = match (doubled, f.out().lookup.is_some(), f.out().zero_point) {
        (true, ..) => 42,
        (_, true, _) => 69,
        (.., -128) => 47,
        _ => 59,
    };
    let block = 12 * steps + 1 + 3 * steps.saturating_sub(1).div_ceil(16) + outputs;
    let run = w.kernel_w * f.input().c;
    let expand = if doubled {
        f.taps() * 5 / 2
    } else if run.is_multiple_of(8) && f.input().c.is_multiple_of(4) {
        f.taps() * 3 / 2 + 9 * (w.kernel_h - 1)
    } else if run == 9 && w.kernel_h == 3 {
        62
    } else if run.is_multiple_of(4) || w.is_pointwise() {
        f.taps() * 5 / 2 + 9 * (w.kernel_h - 1)
    } else {
        f.taps() * 5 + 20 * w.kernel_h
    };
    let pair = out.c.div_ceil(4) * block + expand + 19;
    let pairs = if w.is_pointwise() {
        (out.h * out.w).div_ceil(2)
    } else {
        out.h * out.w.div_ceil(2)
    };
    // Windows over the left or right border: what lies outside is filled for the rows that are cut off
    // above, for those that are not, and for those that are cut off below.
    let calls = out.h.min(3);
    let border = if w.is_pointwise() {
        0
    } else if f.input().c.is_multiple_of(4) {
        out.h * (f.taps() * 5 / 6 + 60) + calls * (f.taps() * 4 + 200)
    } else {
        out.h * (f.taps() * 4 + 40) + calls * (f.taps() * 2 + 250)
    };
    (pairs * pair + border + 350) as u64
}

fn dense(f: &Filter<'_>) -> u64 {
    let taps = padded(f.taps());
    let block = taps * 27 / 8 + 39;
    (f.output().c.div_ceil(4) * block + taps + 250) as u64
}

/// Two rows by two columns of a channel: see `arm_dsp/depthwise` in core.
fn depthwise(f: &Filter<'_>, out: Shape) -> u64 {
    let input = f.input();
    let table = if f.out().lookup.is_some() { 4 } else { 0 };
    let Layout::RowPairs(form) = f.layout() else {
        return (out.len() * (f.taps() * 6 + 40)) as u64;
    };
    let clamped = f.out().lookup.is_none() && (f.out().min, f.out().max) != (-128, 127);
    let clamp = if clamped { 2 * out.len() } else { 0 };
    let groups = input.c.div_ceil(4);
    let Form::Blocks(kernel) = form else {
        let words = f.window().kernel_h.div_ceil(2) * f.window().kernel_w;
        let fours = out.h * out.w.div_ceil(4) * out.c;
        let expand = groups * (out.h * f.window().kernel_h.div_ceil(2)) * (input.w * 11 + 60);
        return (fours * (words * 11 + 115) + expand + groups * 950 + clamp + 600) as u64;
    };
    let (fast, general) = match kernel {
        Kernel::K3S1 { .. } => (48, 61),
        Kernel::K3S2 { .. } => (53, 66),
        Kernel::K5S1 { .. } => (96, 109),
    };
    let block = if kernel.fast() { fast } else { general + table };
    let steps = out.h.div_ceil(2);
    // Pair rows, and pairs of columns in each.
    let (rows, columns) = match kernel {
        Kernel::K3S1 { .. } => (steps + 1, out.w.div_ceil(2) + 1),
        Kernel::K3S2 { .. } => (2 * steps + 1, out.w.div_ceil(2) * 2 + 1),
        Kernel::K5S1 { .. } => (steps + 2, out.w.div_ceil(2) + 2),
    };
    let runs = 1 + out.w % 2;
    let blocks = out.c * steps * (out.w.div_ceil(2) * block + 10 * runs);
    let expand = groups * rows * (columns * 22 + 20);
    // A step's loop, and the pair rows that move back every eight pair rows.
    let (step, every) = match kernel {
        Kernel::K3S1 { .. } => (88, 8),
        Kernel::K3S2 { .. } => (17, 4),
        Kernel::K5S1 { .. } => (3, 8),
    };
    let moved = steps.saturating_sub(1) / every * columns * 76;
    let loops = groups * (120 + steps * (step + 7 * runs) + moved);
    (blocks + expand + loops + clamp + 400) as u64
}
