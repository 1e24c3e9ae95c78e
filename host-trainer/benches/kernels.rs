//! The training kernels alone, on one thread: `cargo bench -p pupil --bench kernels`.
//!
//! What a net's speed is made of: matrix products and depthwise convolutions in multiply-accumulates
//! a second, passes over a map in nanoseconds for eight numbers (one AVX2 vector). Each figure is
//! the fourth best of 15 turns, on maps that stay in the cache.

use std::hint::black_box;
use std::time::Instant;

use pupil::nn::kernels::buffers::Buffer;
use pupil::nn::kernels::depthwise::{self, Window};
use pupil::nn::kernels::function::{Relu, Silu};
use pupil::nn::kernels::gram::gram;
use pupil::nn::kernels::matmul::{Panels, matmul};
use pupil::nn::kernels::normalize::{Runs, Sums, apply, apply_both, moments};

/// Multiply-accumulates or numbers of one turn.
const TURN: usize = 60_000_000;

fn main() {
    println!("GMAC/s of matrix products [rows, k] x [k, n], and of their weight gradients");
    for (rows, k, n) in [
        (1024, 16, 64),
        (256, 64, 16),
        (64, 160, 40),
        (1024, 32, 128),
        (1024, 128, 32),
    ] {
        let (x, w, dy) = (filled(rows * k), filled(k * n), filled(rows * n));
        let panels = Panels::new(&w, k, n);
        let (mut y, mut dw) = (filled(rows * n), filled(k * n));
        let forward = rate(rows * k * n, || matmul(&x, &panels, &mut y));
        let backward = rate(rows * k * n, || gram(&x, &dy, k, n, &mut dw));
        println!("  {rows:>4} x {k:>3} x {n:>3}       {forward:6.1} {backward:6.1}");
    }
    println!("GMAC/s of depthwise convolutions: forward, kernel gradient, input gradient");
    for (side, c, kernel, stride) in [
        (32, 64, 3, 1),
        (16, 64, 3, 1),
        (16, 64, 5, 2),
        (8, 96, 3, 2),
        (4, 160, 5, 1),
    ] {
        let g = Window::same((side, side), c, kernel, stride);
        let (x, dy) = (filled(g.padded_len()), filled(g.surrounded_len()));
        let w = filled(kernel * kernel * c);
        let (mut y, mut dw) = (filled(g.output_len()), filled(w.len()));
        let mut dx = filled(g.input_len());
        let macs = g.output_len() * kernel * kernel;
        let rates = [
            rate(macs, || depthwise::forward(&g, &x, &w, &mut y)),
            rate(macs, || depthwise::weight_gradient(&g, &x, &dy, &mut dw)),
            rate(macs, || depthwise::input_gradient(&g, &dy, &w, &mut dx)),
        ];
        let [a, b, c2] = rates;
        println!(
            "  {side:>2}x{side:<2} x {c:>3}, {kernel}x{kernel} by {stride} {a:6.1} {b:6.1} {c2:6.1}"
        );
    }
    println!("nanoseconds for 8 numbers of a map of 32 pixels and 64 channels");
    let (c, len) = (64, 32 * 64);
    let (x, a, mut y, mut slope) = (filled(len), filled(c), filled(len), filled(len));
    let runs = Runs::whole(len);
    let passes = [
        (
            "normalize, ReLU",
            8.0 / rate(len, || apply::<Relu>(&x, &a, &a, &mut y, runs)),
        ),
        (
            "normalize, SiLU",
            8.0 / rate(len, || apply::<Silu>(&x, &a, &a, &mut y, runs)),
        ),
        (
            "the same and its slope",
            8.0 / rate(len, || {
                apply_both::<Silu>(&x, &a, &a, &mut y, runs, &mut slope)
            }),
        ),
        (
            "mean and variance",
            8.0 / rate(len, || {
                let mut sums = Sums::new(c);
                moments(&x, &a, &mut sums);
                black_box(&sums);
            }),
        ),
    ];
    for (name, nanoseconds) in passes {
        println!("  {name:<24} {nanoseconds:5.2}");
    }
}

fn filled(len: usize) -> Buffer {
    let mut buffer = Buffer::take(len);
    for (i, v) in buffer.iter_mut().enumerate() {
        *v = (i % 13) as f32 / 13.0 - 0.4;
    }
    buffer
}

/// `work` a nanosecond.
fn rate(work: usize, mut f: impl FnMut()) -> f64 {
    let calls = (TURN / work).max(1);
    let mut turns: Vec<f64> = (0..15)
        .map(|_| {
            let start = Instant::now();
            (0..calls).for_each(|_| f());
            start.elapsed().as_nanos() as f64
        })
        .collect();
    turns.sort_by(f64::total_cmp);
    (work * calls) as f64 / turns[3]
}
