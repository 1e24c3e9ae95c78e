//! General convolution, any kernel and stride, without a copy of the image's patches.

use super::Filter;
use super::dot::dot;
use crate::shape::Shape;

/// `input [h, w, in_ch]` to `output [oh, ow, out_ch]`; weights `[out_ch][kh][kw][in_ch]`.
///
/// The taps of one kernel row are contiguous in image and weights alike, so each is one dot
/// product. Taps outside the image add w · zero_point.
pub fn conv(f: &Filter<'_>, input: &[i8], output: &mut [i8]) {
    let (Shape { h, w, c }, out) = (f.input, f.output);
    if input.len() < f.input.len() || output.len() < out.len() || c == 0 || out.c == 0 {
        return;
    }
    let window = &f.window;
    let row_len = window.kernel_w * c;
    let filter_len = window.kernel_h * row_len;
    for (i, pixel) in output
        .chunks_exact_mut(out.c)
        .enumerate()
        .take(out.h * out.w)
    {
        let (oy, ox) = (i / out.w, i % out.w);
        let (rows, columns) = (window.rows(oy, h), window.columns(ox, w));
        let inside = rows.len() == window.kernel_h && columns.len() == window.kernel_w;
        let left = (ox * window.stride_w + columns.start).saturating_sub(window.pad_left);
        let (from, len) = (columns.start * c, columns.len() * c);
        for (channel, y) in pixel.iter_mut().enumerate() {
            let filter = &f.weights[channel * filter_len..][..filter_len];
            let (bias, multiplier) = f.channels.get(channel);
            let mut sum = bias;
            for ky in rows.clone() {
                let iy = oy * window.stride_h + ky - window.pad_top;
                let x = &input[(iy * w + left) * c..][..len];
                sum += dot(&filter[ky * row_len + from..][..len], x);
            }
            if !inside {
                let mut outside = total(filter);
                for ky in rows.clone() {
                    outside -= total(&filter[ky * row_len + from..][..len]);
                }
                sum += f.input_zero_point * outside;
            }
            *y = f.out.finish(sum, multiplier);
        }
    }
}

fn total(weights: &[u8]) -> i32 {
    weights.iter().map(|w| i32::from(*w as i8)).sum()
}
