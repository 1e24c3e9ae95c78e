//! The specification: TensorFlow Lite's int8 operators in plain loops, never optimized.
//!
//! Biases are unfolded, sums are 64-bit, taps outside the image are skipped. The rounding is that
//! of `quant`, which has tests of its own.

use std::vec;
use std::vec::Vec;

use crate::quant::Multiplier;
use crate::shape::{Shape, Window};

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

/// CONV_2D, or DEPTHWISE_CONV_2D where `depthwise`.
pub fn convolution(p: &Convolution<'_>, x: &[i8], depthwise: bool) -> Vec<i8> {
    let mut y = vec![0; p.output.len()];
    let w = &p.window;
    for oy in 0..p.output.h {
        for ox in 0..p.output.w {
            for o in 0..p.output.c {
                let mut sum = i64::from(p.bias[o]);
                for ky in 0..w.kernel_h {
                    for kx in 0..w.kernel_w {
                        let iy = inside(oy, w.stride_h, ky, w.pad_top, p.input.h);
                        let ix = inside(ox, w.stride_w, kx, w.pad_left, p.input.w);
                        let (Some(iy), Some(ix)) = (iy, ix) else {
                            continue;
                        };
                        let pixel = (iy * p.input.w + ix) * p.input.c;
                        let tap = ky * w.kernel_w + kx;
                        let mut add = |weight: i8, value: i8| {
                            sum +=
                                i64::from(weight) * (i64::from(value) - i64::from(p.zero_points.0));
                        };
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
                y[(oy * p.output.w + ox) * p.output.c + o] =
                    requantize(sum, p.multipliers[o], p.zero_points.1, p.act);
            }
        }
    }
    y
}

/// FULLY_CONNECTED with weights `[out][in]`.
pub fn dense(
    x: &[i8],
    weights: &[i8],
    bias: &[i32],
    multipliers: &[Multiplier],
    zero_points: (i32, i32),
    act: (i8, i8),
) -> Vec<i8> {
    (0..bias.len())
        .map(|o| {
            let mut sum = i64::from(bias[o]);
            for (i, value) in x.iter().enumerate() {
                sum += i64::from(weights[o * x.len() + i])
                    * (i64::from(*value) - i64::from(zero_points.0));
            }
            requantize(sum, multipliers[o], zero_points.1, act)
        })
        .collect()
}

/// AVERAGE_POOL_2D, or MAX_POOL_2D where `max`.
pub fn pool(
    input: Shape,
    output: Shape,
    w: &Window,
    act: (i8, i8),
    x: &[i8],
    max: bool,
) -> Vec<i8> {
    let mut y = Vec::new();
    for oy in 0..output.h {
        for ox in 0..output.w {
            for c in 0..output.c {
                let mut seen: Vec<i64> = Vec::new();
                for ky in 0..w.kernel_h {
                    for kx in 0..w.kernel_w {
                        let iy = inside(oy, w.stride_h, ky, w.pad_top, input.h);
                        let ix = inside(ox, w.stride_w, kx, w.pad_left, input.w);
                        if let (Some(iy), Some(ix)) = (iy, ix) {
                            seen.push(i64::from(x[(iy * input.w + ix) * input.c + c]));
                        }
                    }
                }
                let (sum, n): (i64, i64) = (seen.iter().sum(), seen.len() as i64);
                let average = if sum > 0 {
                    (sum + n / 2) / n
                } else {
                    (sum - n / 2) / n
                };
                let value = if max {
                    seen.iter().copied().max().unwrap_or(-128)
                } else {
                    average
                };
                y.push(value.clamp(i64::from(act.0), i64::from(act.1)) as i8);
            }
        }
    }
    y
}

/// MEAN over height and width.
pub fn mean(input: Shape, x: &[i8], multiplier: Multiplier, zero_points: (i32, i32)) -> Vec<i8> {
    (0..input.c)
        .map(|c| {
            let pixels = (input.h * input.w) as i64;
            let sum: i64 = (0..input.h * input.w)
                .map(|p| i64::from(x[p * input.c + c]))
                .sum();
            let centered = sum - i64::from(zero_points.0) * pixels;
            requantize(centered, multiplier, zero_points.1, (-128, 127))
        })
        .collect()
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
