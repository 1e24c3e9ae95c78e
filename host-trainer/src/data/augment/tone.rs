//! Operations on values alone: tables over 0..=255 and blends with a simpler picture.

use super::picture::Picture;

/// Replaces each value by `table(value)`.
pub(super) fn map(picture: &mut Picture, table: impl Fn(u8) -> u8) {
    let table: [u8; 256] = core::array::from_fn(|v| table(v as u8));
    for v in &mut picture.pixels {
        *v = table[usize::from(*v)];
    }
}

/// `base + factor (value − base)`, clamped: factor 1 changes nothing.
pub(super) fn blend(value: u8, base: f32, factor: f32) -> u8 {
    (base + factor * (f32::from(value) - base))
        .round()
        .clamp(0.0, 255.0) as u8
}

/// Stretches each channel to the full range 0..=255.
pub(super) fn auto_contrast(picture: &mut Picture) {
    let c = picture.c;
    for k in 0..c {
        let channel = || picture.pixels.iter().skip(k).step_by(c);
        let low = channel().copied().min().unwrap_or(0);
        let high = channel().copied().max().unwrap_or(0);
        if high > low {
            let scale = 255.0 / f32::from(high - low);
            for v in picture.pixels.iter_mut().skip(k).step_by(c) {
                *v = (f32::from(*v - low) * scale) as u8;
            }
        }
    }
}

/// Equalizes each channel's histogram, with the rounding of the common imaging libraries: the
/// step is (pixels − those of the last used value) / 255.
pub(super) fn equalize(picture: &mut Picture) {
    let c = picture.c;
    for k in 0..c {
        let mut histogram = [0usize; 256];
        for v in picture.pixels.iter().skip(k).step_by(c) {
            histogram[usize::from(*v)] += 1;
        }
        let last = histogram
            .iter()
            .rev()
            .find(|n| **n > 0)
            .copied()
            .unwrap_or(0);
        let step = (picture.pixels.len() / c - last) / 255;
        if step == 0 {
            continue;
        }
        let mut sum = step / 2;
        let table: [u8; 256] = core::array::from_fn(|v| {
            let value = (sum / step).min(255) as u8;
            sum += histogram[v];
            value
        });
        for v in picture.pixels.iter_mut().skip(k).step_by(c) {
            *v = table[usize::from(*v)];
        }
    }
}

/// Mean luminance (ITU-R 601 weights for RGB), rounded.
pub(super) fn mean_luminance(picture: &Picture) -> f32 {
    let sum: f32 = picture.pixels.chunks_exact(picture.c).map(luminance).sum();
    (sum / (picture.h * picture.w).max(1) as f32).round()
}

/// Luminance of one pixel.
fn luminance(pixel: &[u8]) -> f32 {
    match pixel {
        [r, g, b] => 0.299 * f32::from(*r) + 0.587 * f32::from(*g) + 0.114 * f32::from(*b),
        _ => f32::from(pixel[0]),
    }
}

/// Blends each pixel with its own luminance; a grey picture is its own.
pub(super) fn saturation(picture: &mut Picture, factor: f32) {
    if picture.c == 1 {
        return;
    }
    for pixel in picture.pixels.chunks_exact_mut(picture.c) {
        let grey = luminance(pixel).round();
        for v in pixel {
            *v = blend(*v, grey, factor);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(pixels: &[u8]) -> Picture {
        Picture {
            h: 1,
            w: pixels.len(),
            c: 1,
            pixels: pixels.to_vec(),
        }
    }

    #[test]
    fn auto_contrast_reaches_both_ends_and_leaves_flat_pictures() {
        let mut p = picture(&[10, 20, 30]);
        auto_contrast(&mut p);
        assert_eq!(p.pixels, [0, 127, 255]);
        let mut flat = picture(&[7, 7]);
        auto_contrast(&mut flat);
        assert_eq!(flat.pixels, [7, 7]);
    }

    #[test]
    fn equalize_spreads_a_uniform_histogram_onto_itself() {
        let values: Vec<u8> = (0..=255).flat_map(|v| [v, v]).collect();
        let mut p = picture(&values);
        equalize(&mut p);
        assert_eq!(p.pixels, values);
    }

    #[test]
    fn blends_by_factor_one_are_identity() {
        assert!((0..=255).all(|v| blend(v, 93.0, 1.0) == v));
        assert_eq!(
            [
                blend(200, 0.0, 0.5),
                blend(200, 0.0, 1.9),
                blend(9, 100.0, 0.0)
            ],
            [100, 255, 100]
        );
    }
}
