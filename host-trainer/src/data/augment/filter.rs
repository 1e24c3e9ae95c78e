//! Sharpness: a blend with the picture smoothed by a 3x3 kernel.

use super::picture::Picture;
use super::tone::blend;

/// Blends with the smoothed picture (weights 1, center 5, over 13); the border is its own
/// smoothed value, so it does not change. Factor below 1 blurs, above 1 sharpens.
pub(super) fn sharpness(picture: &mut Picture, factor: f32) {
    let source = picture.pixels.clone();
    let (w, c) = (picture.w, picture.c);
    for y in 1..picture.h.saturating_sub(1) {
        for x in 1..w.saturating_sub(1) {
            for k in 0..c {
                let at = |dy: usize, dx: usize| {
                    f32::from(source[((y + dy - 1) * w + x + dx - 1) * c + k])
                };
                let mut sum = 4.0 * at(1, 1);
                for dy in 0..3 {
                    for dx in 0..3 {
                        sum += at(dy, dx);
                    }
                }
                let value = &mut picture.pixels[(y * w + x) * c + k];
                *value = blend(*value, (sum / 13.0).round(), factor);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factor_one_is_identity_and_zero_smooths_the_inside() {
        let pixels = vec![0, 0, 0, 0, 130, 0, 0, 0, 0];
        let mut p = Picture {
            h: 3,
            w: 3,
            c: 1,
            pixels: pixels.clone(),
        };
        sharpness(&mut p, 1.0);
        assert_eq!(p.pixels, pixels);
        sharpness(&mut p, 0.0);
        assert_eq!(p.pixels, [0, 0, 0, 0, 50, 0, 0, 0, 0]);
    }
}
