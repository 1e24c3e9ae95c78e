//! Depthwise convolution: each output channel reads one input channel.

use super::Filter;
use crate::shape::Shape;

/// Channels summed together, so that a tap's weights and pixels are contiguous runs.
const BLOCK: usize = 8;

/// `input [h, w, in_ch]` to `output [oh, ow, out_ch]`; weights `[kh][kw][out_ch]`. Output
/// channel o reads input channel o / (out_ch / in_ch).
pub fn depthwise(f: &Filter<'_>, input: &[i8], output: &mut [i8]) {
    let (Shape { h, w, c }, out) = (f.input, f.output);
    if input.len() < f.input.len() || output.len() < out.len() || c == 0 || out.c < c {
        return;
    }
    let multiplier = out.c / c;
    let window = &f.window;
    for (i, pixel) in output
        .chunks_exact_mut(out.c)
        .enumerate()
        .take(out.h * out.w)
    {
        let (oy, ox) = (i / out.w, i % out.w);
        let (rows, columns) = (window.rows(oy, h), window.columns(ox, w));
        for (block, y) in pixel.chunks_mut(BLOCK).enumerate() {
            let first = block * BLOCK;
            let mut sums = [0i32; BLOCK];
            for (k, sum) in sums.iter_mut().enumerate().take(y.len()) {
                *sum = f.channels.get(first + k).0;
            }
            for ky in 0..window.kernel_h {
                for kx in 0..window.kernel_w {
                    let tap = (ky * window.kernel_w + kx) * out.c + first;
                    let weights = &f.weights[tap..][..y.len()];
                    if rows.contains(&ky) && columns.contains(&kx) {
                        let iy = oy * window.stride_h + ky - window.pad_top;
                        let ix = ox * window.stride_w + kx - window.pad_left;
                        let at = (iy * w + ix) * c;
                        if multiplier == 1 {
                            let x = &input[at + first..][..y.len()];
                            for ((sum, w), x) in sums.iter_mut().zip(weights).zip(x) {
                                *sum += i32::from(*w as i8) * i32::from(*x);
                            }
                        } else {
                            for (k, (sum, w)) in sums.iter_mut().zip(weights).enumerate() {
                                let x = input[at + (first + k) / multiplier];
                                *sum += i32::from(*w as i8) * i32::from(x);
                            }
                        }
                    } else {
                        for (sum, w) in sums.iter_mut().zip(weights) {
                            *sum += i32::from(*w as i8) * f.input_zero_point;
                        }
                    }
                }
            }
            for (k, (y, sum)) in y.iter_mut().zip(sums).enumerate() {
                *y = f.out.finish(sum, f.channels.get(first + k).1);
            }
        }
    }
}
