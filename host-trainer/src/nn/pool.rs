//! Max pooling over NHWC maps with TensorFlow's SAME padding, by burn's stock operator.

use burn::tensor::Tensor;
use burn::tensor::ops::MaxPoolOptions;
use pupil_core::op::shape::same_padding;

/// `x [n, h, w, c]` to `[n, ceil(h/stride), ceil(w/stride), c]`: the greatest value under each
/// `kernel` x `kernel` window; what lies outside the map does not count. Both are at least 1.
pub(crate) fn max_pool(x: Tensor<4>, kernel: usize, stride: usize) -> Tensor<4> {
    let [_, h, w, _] = x.dims();
    let (kernel, stride) = (kernel.max(1), stride.max(1));
    let options = MaxPoolOptions::new([kernel, kernel])
        .with_stride([stride, stride])
        .with_padding_pairs([
            same_padding(h, kernel, stride),
            same_padding(w, kernel, stride),
        ]);
    burn::tensor::module::max_pool2d(x.permute([0, 3, 1, 2]), options).permute([0, 2, 3, 1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};

    #[test]
    fn windows_are_cut_at_the_border_on_even_and_odd_sizes() {
        for (h, w, kernel, stride) in [
            (4usize, 4usize, 2, 2),
            (5, 7, 2, 2),
            (6, 5, 3, 2),
            (4, 3, 3, 1),
        ] {
            // All negative: padding with zeros would show.
            let pixels: Vec<f32> = (0..2 * h * w * 3)
                .map(|i| -1.0 - (i * 53 % 97) as f32)
                .collect();
            let x: Tensor<4> = Tensor::from_data(
                TensorData::new(pixels.clone(), [2, h, w, 3]),
                &Device::flex(),
            );
            let y = max_pool(x, kernel, stride);
            let (oh, ow) = (h.div_ceil(stride), w.div_ceil(stride));
            assert_eq!(y.dims(), [2, oh, ow, 3]);
            let y: Vec<f32> = y.into_data().try_to_vec().unwrap();
            let (top, left) = (
                same_padding(h, kernel, stride).0,
                same_padding(w, kernel, stride).0,
            );
            for (i, got) in y.iter().enumerate() {
                let (c, ox, oy, n) = (i % 3, i / 3 % ow, i / 3 / ow % oh, i / 3 / ow / oh);
                let mut best = f32::NEG_INFINITY;
                for y in (oy * stride).saturating_sub(top)..(oy * stride + kernel - top).min(h) {
                    for x in
                        (ox * stride).saturating_sub(left)..(ox * stride + kernel - left).min(w)
                    {
                        best = best.max(pixels[((n * h + y) * w + x) * 3 + c]);
                    }
                }
                assert_eq!(*got, best, "{h}x{w} {kernel}/{stride} at {i}");
            }
        }
    }
}
