//! The specification: TensorFlow Lite's int8 operators in plain loops, never optimized.
//!
//! Biases are unfolded, sums are 64-bit, taps outside the image are skipped. The rounding is that
//! of `quant`, which has tests of its own.

use crate::op::quant::Multiplier;
use crate::op::shape::{Shape, Window};

/// A convolution: weights `[out_ch][kh][kw][in_ch]` or, depthwise, `[kh][kw][out_ch]`.
#[derive(Clone, Debug)]
pub struct Convolution<'a> {
    /// Input map.
    pub input: Shape,
    /// Output map.
    pub output: Shape,
    /// Window.
    pub window: Window,
    /// Weights.
    pub weights: &'a [i8],
    /// Bias of each output channel, not folded.
    pub bias: &'a [i32],
    /// Multiplier of each output channel.
    pub multipliers: &'a [Multiplier],
    /// Zero points of input and output.
    pub zero_points: (i32, i32),
    /// Clamps.
    pub act: (i8, i8),
}

fn requantize(sum: i64, multiplier: Multiplier, zero_point: i32, act: (i8, i8)) -> i8 {
    let q = i64::from(multiplier.apply(sum as i32)) + i64::from(zero_point);
    q.clamp(i64::from(act.0), i64::from(act.1)) as i8
}

/// The input position of a tap, if it lies inside the image.
fn inside(o: usize, stride: usize, k: usize, pad: usize, len: usize) -> Option<usize> {
    (o * stride + k).checked_sub(pad).filter(|i| *i < len)
}

/// CONV_2D, or DEPTHWISE_CONV_2D where `depthwise`: the output's values in order.
pub fn convolution<'a>(
    p: &'a Convolution<'a>,
    x: &'a [i8],
    depthwise: bool,
) -> impl Iterator<Item = i8> + 'a {
    let positions = (0..p.output.h).flat_map(|oy| (0..p.output.w).map(move |ox| (oy, ox)));
    positions.flat_map(move |(oy, ox)| {
        (0..p.output.c).map(move |o| {
            let sum = i64::from(p.bias[o]) + window_sum(p, x, depthwise, (oy, ox, o));
            requantize(sum, p.multipliers[o], p.zero_points.1, p.act)
        })
    })
}

/// Σ w (x − zero point) over the window of one output value.
fn window_sum(
    p: &Convolution<'_>,
    x: &[i8],
    depthwise: bool,
    (oy, ox, o): (usize, usize, usize),
) -> i64 {
    let (mut sum, w) = (0, &p.window);
    let mut add = |weight: i8, value: i8| {
        sum += i64::from(weight) * (i64::from(value) - i64::from(p.zero_points.0));
    };
    for ky in 0..w.kernel_h {
        for kx in 0..w.kernel_w {
            let iy = inside(oy, w.stride_h, ky, w.pad_top, p.input.h);
            let ix = inside(ox, w.stride_w, kx, w.pad_left, p.input.w);
            let (Some(iy), Some(ix)) = (iy, ix) else {
                continue;
            };
            let pixel = (iy * p.input.w + ix) * p.input.c;
            let tap = ky * w.kernel_w + kx;
            if depthwise {
                let i = o / (p.output.c / p.input.c);
                add(p.weights[tap * p.output.c + o], x[pixel + i]);
            } else {
                for i in 0..p.input.c {
                    let filter = (o * w.kernel_h * w.kernel_w + tap) * p.input.c;
                    add(p.weights[filter + i], x[pixel + i]);
                }
            }
        }
    }
    sum
}

/// FULLY_CONNECTED with weights `[out][in]`: the output's values in order.
pub fn dense<'a>(
    x: &'a [i8],
    weights: &'a [i8],
    bias: &'a [i32],
    multipliers: &'a [Multiplier],
    zero_points: (i32, i32),
    act: (i8, i8),
) -> impl Iterator<Item = i8> + 'a {
    (0..bias.len()).map(move |o| {
        let mut sum = i64::from(bias[o]);
        for (i, value) in x.iter().enumerate() {
            sum += i64::from(weights[o * x.len() + i])
                * (i64::from(*value) - i64::from(zero_points.0));
        }
        requantize(sum, multipliers[o], zero_points.1, act)
    })
}

/// AVERAGE_POOL_2D, or MAX_POOL_2D where `max`: the output's values in order.
pub fn pool<'a>(
    input: Shape,
    output: Shape,
    w: &'a Window,
    act: (i8, i8),
    x: &'a [i8],
    max: bool,
) -> impl Iterator<Item = i8> + 'a {
    let positions = (0..output.h).flat_map(move |oy| (0..output.w).map(move |ox| (oy, ox)));
    positions.flat_map(move |(oy, ox)| {
        (0..output.c).map(move |c| {
            let (mut sum, mut n, mut most) = (0i64, 0i64, -128i64);
            for ky in 0..w.kernel_h {
                for kx in 0..w.kernel_w {
                    let iy = inside(oy, w.stride_h, ky, w.pad_top, input.h);
                    let ix = inside(ox, w.stride_w, kx, w.pad_left, input.w);
                    if let (Some(iy), Some(ix)) = (iy, ix) {
                        let value = i64::from(x[(iy * input.w + ix) * input.c + c]);
                        (sum, n, most) = (sum + value, n + 1, most.max(value));
                    }
                }
            }
            let average = if sum > 0 {
                (sum + n / 2) / n
            } else {
                (sum - n / 2) / n
            };
            let value = if max { most } else { average };
            value.clamp(i64::from(act.0), i64::from(act.1)) as i8
        })
    })
}

/// MEAN over height and width: the output's values in order.
pub fn mean(
    input: Shape,
    x: &[i8],
    multiplier: Multiplier,
    zero_points: (i32, i32),
) -> impl Iterator<Item = i8> + '_ {
    (0..input.c).map(move |c| {
        let pixels = (input.h * input.w) as i64;
        let sum: i64 = (0..input.h * input.w)
            .map(|p| i64::from(x[p * input.c + c]))
            .sum();
        let centered = sum - i64::from(zero_points.0) * pixels;
        requantize(centered, multiplier, zero_points.1, (-128, 127))
    })
}

/// ADD of two values; multipliers are those of the inputs and of the sum.
pub fn add(
    values: (i8, i8),
    zero_points: [i32; 3],
    multipliers: [Multiplier; 3],
    act: (i8, i8),
) -> i8 {
    let a = multipliers[0].apply((i32::from(values.0) - zero_points[0]) * (1 << 20));
    let b = multipliers[1].apply((i32::from(values.1) - zero_points[1]) * (1 << 20));
    requantize(
        i64::from(a) + i64::from(b),
        multipliers[2],
        zero_points[2],
        act,
    )
}

/// MUL of two values.
pub fn mul(values: (i8, i8), zero_points: [i32; 3], multiplier: Multiplier, act: (i8, i8)) -> i8 {
    let a = i64::from(values.0) - i64::from(zero_points[0]);
    let b = i64::from(values.1) - i64::from(zero_points[1]);
    requantize(a * b, multiplier, zero_points[2], act)
}
