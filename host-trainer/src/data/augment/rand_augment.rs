//! RandAugment (arXiv 1909.13719) with the arithmetic of the Noisy Student reference code, or with
//! one where a greater magnitude is always a greater change.
//!
//! `operations` draws with replacement from sixteen; a magnitude M gives the level L = M / 10.
//! In the reference arithmetic magnitudes above 10 would push posterize and solarize out of range:
//! there they do nothing. Below, they change an image the more the smaller M is, and every
//! enhancement darkens or blurs below M = 5. [`RandAugment::increasing`] has neither.

use core::f32::consts::PI;

use nalgebra::{Matrix2, Vector2};
use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::blank::blank_square;
use super::picture::Picture;
use super::{filter, geometry, tone};

/// How many operations, and the range that each one's magnitude is drawn from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RandAugment {
    /// Operations in a row.
    pub operations: usize,
    /// Least and greatest magnitude; drawn uniformly for each operation.
    pub magnitude: (f32, f32),
    /// Whether a greater magnitude is always a greater change, as in torchvision's RandAugment:
    /// posterize keeps 8 − ⌊4 L⌋ bits, solarize begins at ⌊256 (1 − L)⌋, enhancements go by
    /// 1 ± 0.9 L, and no image is inverted as a whole.
    #[serde(default)]
    pub increasing: bool,
    /// Whether rotation, shear and translation blend the four pixels around a place; otherwise, as
    /// in the reference code, they take the nearest one.
    #[serde(default)]
    pub bilinear: bool,
}

/// One of RandAugment's operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// Full range in each channel.
    AutoContrast,
    /// Flat histogram in each channel.
    Equalize,
    /// 255 − v.
    Invert,
    /// By ±30 L degrees.
    Rotate,
    /// The upper ⌊4 L⌋ bits stay.
    Posterize,
    /// Values from ⌊256 L⌋ on are inverted.
    Solarize,
    /// ⌊110 L⌋ is added to values below 128.
    SolarizeAdd,
    /// Saturation by 1.8 L + 0.1.
    Color,
    /// Contrast by 1.8 L + 0.1.
    Contrast,
    /// Brightness by 1.8 L + 0.1.
    Brightness,
    /// Sharpness by 1.8 L + 0.1.
    Sharpness,
    /// Horizontal shear by ±0.3 L.
    ShearX,
    /// Vertical shear by ±0.3 L.
    ShearY,
    /// Horizontal shift by ±L/8 of the width (4 pixels of 32).
    TranslateX,
    /// Vertical shift by ±L/8 of the height.
    TranslateY,
    /// A blank square of half-side L/8 of the width.
    Cutout,
}

/// All operations, drawn with equal probability.
pub(super) const OPERATIONS: [Operation; 16] = [
    Operation::AutoContrast,
    Operation::Equalize,
    Operation::Invert,
    Operation::Rotate,
    Operation::Posterize,
    Operation::Solarize,
    Operation::SolarizeAdd,
    Operation::Color,
    Operation::Contrast,
    Operation::Brightness,
    Operation::Sharpness,
    Operation::ShearX,
    Operation::ShearY,
    Operation::TranslateX,
    Operation::TranslateY,
    Operation::Cutout,
];

impl RandAugment {
    /// Applies the drawn operations in turn.
    pub fn apply(&self, picture: &mut Picture, fill: u8, rng: &mut ChaCha8Rng) {
        for _ in 0..self.operations {
            let operation = OPERATIONS[rng.random_range(0..OPERATIONS.len())];
            let (least, greatest) = self.magnitude;
            let uniform = (rng.next_u32() >> 8) as f32 / (1u32 << 24) as f32;
            let magnitude = least + (greatest - least) * uniform;
            operation.apply(picture, magnitude, self, fill, rng);
        }
    }
}

impl Operation {
    /// Applies the operation at `magnitude` by the arithmetic of `rules`; directions are drawn
    /// from `rng`.
    pub(super) fn apply(
        self,
        picture: &mut Picture,
        magnitude: f32,
        rules: &RandAugment,
        fill: u8,
        rng: &mut ChaCha8Rng,
    ) {
        let level = magnitude / 10.0;
        let (increasing, bilinear) = (rules.increasing, rules.bilinear);
        let mut signed = |x: f32| if rng.next_u32() & 1 == 1 { -x } else { x };
        let factor = match self {
            Self::Color | Self::Contrast | Self::Brightness | Self::Sharpness if increasing => {
                (1.0 + signed(0.9 * level)).max(0.1)
            }
            _ => 1.8 * level + 0.1,
        };
        match self {
            Self::AutoContrast => tone::auto_contrast(picture),
            Self::Equalize => tone::equalize(picture),
            Self::Invert | Self::SolarizeAdd if increasing => {}
            Self::Invert => tone::map(picture, |v| 255 - v),
            Self::Rotate | Self::ShearX | Self::ShearY | Self::TranslateX | Self::TranslateY => {
                let size = [picture.h, picture.w];
                let (matrix, by) = self.affine(level, size, signed);
                geometry::affine(picture, matrix, by, bilinear, fill);
            }
            Self::Posterize => {
                let bits = if increasing {
                    8u32.saturating_sub((4.0 * level) as u32).max(1)
                } else {
                    (4.0 * level) as u32
                };
                if bits < 8 {
                    let mask = if bits == 0 { 0 } else { 0xffu8 << (8 - bits) };
                    tone::map(picture, |v| v & mask);
                }
            }
            Self::Solarize => {
                let threshold = 256.0 * if increasing { 1.0 - level } else { level };
                tone::map(picture, |v| {
                    if f32::from(v) < threshold.floor() {
                        v
                    } else {
                        255 - v
                    }
                });
            }
            Self::SolarizeAdd => {
                let added = (110.0 * level) as u32;
                tone::map(picture, |v| {
                    if v < 128 {
                        (u32::from(v) + added).min(255) as u8
                    } else {
                        v
                    }
                });
            }
            Self::Color => tone::saturation(picture, factor),
            Self::Contrast => {
                let mean = tone::mean_luminance(picture);
                tone::map(picture, |v| tone::blend(v, mean, factor));
            }
            Self::Brightness => tone::map(picture, |v| tone::blend(v, 0.0, factor)),
            Self::Sharpness => filter::sharpness(picture, factor),
            Self::Cutout => {
                let side = 2 * (level * picture.w as f32 / 8.0) as usize;
                if side > 0 {
                    blank_square(picture, side, fill, rng);
                }
            }
        }
    }

    /// The map of a geometric operation at `level`; `signed` draws its direction. Others have none.
    fn affine(
        self,
        level: f32,
        [h, w]: [usize; 2],
        mut signed: impl FnMut(f32) -> f32,
    ) -> (Matrix2<f32>, Vector2<f32>) {
        let (id, still) = (Matrix2::identity(), Vector2::zeros());
        match self {
            Self::Rotate => {
                let (sin, cos) = signed(30.0 * level * PI / 180.0).sin_cos();
                (Matrix2::new(cos, -sin, sin, cos), still)
            }
            Self::ShearX => (Matrix2::new(1.0, signed(0.3 * level), 0.0, 1.0), still),
            Self::ShearY => (Matrix2::new(1.0, 0.0, signed(0.3 * level), 1.0), still),
            Self::TranslateX => (id, Vector2::new(signed(level * w as f32 / 8.0), 0.0)),
            Self::TranslateY => (id, Vector2::new(0.0, signed(level * h as f32 / 8.0))),
            _ => (id, still),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn rules(increasing: bool) -> RandAugment {
        RandAugment {
            operations: 1,
            magnitude: (1.0, 10.0),
            increasing,
            bilinear: increasing,
        }
    }

    fn run(operation: Operation, magnitude: f32, pixels: &[u8]) -> Vec<u8> {
        arithmetic(operation, magnitude, false, pixels)
    }

    fn arithmetic(
        operation: Operation,
        magnitude: f32,
        increasing: bool,
        pixels: &[u8],
    ) -> Vec<u8> {
        let mut p = Picture {
            h: 1,
            w: pixels.len(),
            c: 1,
            pixels: pixels.to_vec(),
        };
        operation.apply(
            &mut p,
            magnitude,
            &rules(increasing),
            128,
            &mut ChaCha8Rng::seed_from_u64(1),
        );
        p.pixels
    }

    #[test]
    fn levels_follow_the_reference_arithmetic() {
        // M = 5: posterize keeps 2 bits, solarize from 128, solarize-add 55, factors 1.0.
        assert_eq!(run(Operation::Posterize, 5.0, &[0x7f, 0xff]), [0x40, 0xc0]);
        assert_eq!(run(Operation::Solarize, 5.0, &[127, 128]), [127, 127]);
        assert_eq!(run(Operation::SolarizeAdd, 5.0, &[127, 128]), [182, 128]);
        for same in [Operation::Brightness, Operation::Contrast, Operation::Color] {
            assert_eq!(run(same, 5.0, &[3, 77, 200]), [3, 77, 200], "{same:?}");
        }
        assert_eq!(run(Operation::Brightness, 10.0, &[10, 200]), [19, 255]);
        assert_eq!(run(Operation::Invert, 1.0, &[0, 200]), [255, 55]);
    }

    #[test]
    fn magnitudes_above_ten_leave_posterize_and_solarize_without_effect() {
        assert_eq!(run(Operation::Posterize, 20.0, &[0x7f, 0xff]), [0x7f, 0xff]);
        assert_eq!(
            run(Operation::Solarize, 20.0, &[0, 128, 255]),
            [0, 128, 255]
        );
    }

    #[test]
    fn increasing_magnitudes_are_increasing_changes() {
        let ramp: Vec<u8> = (0..=255).collect();
        for operation in OPERATIONS {
            let change = |magnitude| -> u32 {
                let changed = arithmetic(operation, magnitude, true, &ramp);
                let pairs = changed.iter().zip(&ramp);
                pairs.map(|(a, b)| u32::from(a.abs_diff(*b))).sum()
            };
            // Those that need rows have none here; the position of a blank square is drawn.
            if matches!(operation, Operation::Cutout | Operation::Equalize) {
                continue;
            }
            let changes = [0.0, 2.0, 5.0, 10.0].map(change);
            assert!(changes.is_sorted(), "{operation:?}: {changes:?}");
            assert!(changes[0] < 256, "{operation:?}: {changes:?}");
        }
        assert_eq!(
            arithmetic(Operation::Posterize, 5.0, true, &[0x7f, 0xff]),
            [0x7c, 0xfc]
        );
        assert_eq!(
            arithmetic(Operation::Solarize, 5.0, true, &[127, 128]),
            [127, 127]
        );
        assert_eq!(
            arithmetic(Operation::Invert, 5.0, true, &[3, 200]),
            [3, 200]
        );
    }

    #[test]
    fn every_operation_runs_on_one_pixel_and_on_color() {
        for operation in OPERATIONS {
            for (h, w, c) in [(1, 1, 1), (5, 3, 3), (2, 9, 1)] {
                for magnitude in [0.0, 1.0, 10.0, 27.0] {
                    let mut p = Picture {
                        h,
                        w,
                        c,
                        pixels: vec![77; h * w * c],
                    };
                    for increasing in [false, true] {
                        let rng = &mut ChaCha8Rng::seed_from_u64(2);
                        operation.apply(&mut p, magnitude, &rules(increasing), 128, rng);
                    }
                    assert_eq!(p.pixels.len(), h * w * c, "{operation:?}");
                }
            }
        }
    }
}
