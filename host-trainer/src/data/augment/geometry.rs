//! Geometric operations: mirror, shift, and affine maps with nearest-neighbor or bilinear sampling.

use nalgebra::{Matrix2, Vector2};

use super::picture::Picture;

/// Exchanges left and right.
pub(super) fn mirror(picture: &mut Picture) {
    for row in picture.pixels.chunks_exact_mut(picture.w * picture.c) {
        for x in 0..picture.w / 2 {
            for k in 0..picture.c {
                row.swap(x * picture.c + k, (picture.w - 1 - x) * picture.c + k);
            }
        }
    }
}

/// Moves the content down by `dy` and right by `dx` whole pixels.
pub(super) fn shift(picture: &mut Picture, dy: i32, dx: i32, fill: u8) {
    sample(picture, fill, |y, x| (y as i32 - dy, x as i32 - dx));
}

/// Draws each pixel p from `matrix * (p - center) + center + offset`, (x, y) coordinates: the
/// pixel nearest to that place, or, `bilinear`, the mean of the four around it, weighted by
/// nearness.
pub(super) fn affine(
    picture: &mut Picture,
    matrix: Matrix2<f32>,
    offset: Vector2<f32>,
    bilinear: bool,
    fill: u8,
) {
    let center = Vector2::new(picture.w as f32 - 1.0, picture.h as f32 - 1.0) / 2.0;
    let from =
        |y: usize, x: usize| matrix * (Vector2::new(x as f32, y as f32) - center) + center + offset;
    if bilinear {
        blend(picture, fill, from);
    } else {
        sample(picture, fill, |y, x| {
            let source = from(y, x);
            (source.y.round() as i32, source.x.round() as i32)
        });
    }
}

/// Rebuilds the picture from the four pixels around the place that `from(y, x)` gives for each
/// pixel; outside lies `fill`.
fn blend(picture: &mut Picture, fill: u8, from: impl Fn(usize, usize) -> Vector2<f32>) {
    let source = picture.pixels.clone();
    let (h, w, c) = (picture.h, picture.w, picture.c);
    let at = |y: i32, x: i32, channel: usize| {
        let inside = (0..h as i32).contains(&y) && (0..w as i32).contains(&x);
        f32::from(if inside {
            source[(y as usize * w + x as usize) * c + channel]
        } else {
            fill
        })
    };
    for (i, pixel) in picture.pixels.chunks_exact_mut(c).enumerate() {
        let place = from(i / w, i % w);
        let corner = place.map(f32::floor);
        let part = place - corner;
        let (y, x) = (corner.y as i32, corner.x as i32);
        for (channel, value) in pixel.iter_mut().enumerate() {
            let row = |y| at(y, x, channel) * (1.0 - part.x) + at(y, x + 1, channel) * part.x;
            *value = (row(y) * (1.0 - part.y) + row(y + 1) * part.y).round() as u8;
        }
    }
}

/// Rebuilds the picture from the source position that `from(y, x)` gives for each pixel.
fn sample(picture: &mut Picture, fill: u8, from: impl Fn(usize, usize) -> (i32, i32)) {
    let source = picture.pixels.clone();
    let (h, w, c) = (picture.h, picture.w, picture.c);
    for (i, pixel) in picture.pixels.chunks_exact_mut(c).enumerate() {
        let (y, x) = from(i / w, i % w);
        let inside = (0..h as i32).contains(&y) && (0..w as i32).contains(&x);
        if inside {
            let at = (y as usize * w + x as usize) * c;
            pixel.copy_from_slice(&source[at..at + c]);
        } else {
            pixel.fill(fill);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture() -> Picture {
        Picture {
            h: 2,
            w: 3,
            c: 1,
            pixels: vec![1, 2, 3, 4, 5, 6],
        }
    }

    #[test]
    fn mirror_twice_is_identity() {
        let mut p = picture();
        mirror(&mut p);
        assert_eq!(p.pixels, [3, 2, 1, 6, 5, 4]);
        mirror(&mut p);
        assert_eq!(p, picture());
    }

    #[test]
    fn shift_moves_down_and_right() {
        let mut p = picture();
        shift(&mut p, 1, 1, 0);
        assert_eq!(p.pixels, [0, 0, 0, 0, 1, 2]);
    }

    #[test]
    fn a_quarter_turn_of_a_square_is_exact() {
        for bilinear in [false, true] {
            let mut p = Picture {
                h: 3,
                w: 3,
                c: 1,
                pixels: (1..=9).collect(),
            };
            let quarter = Matrix2::new(0.0, 1.0, -1.0, 0.0);
            affine(&mut p, quarter, Vector2::zeros(), bilinear, 0);
            assert_eq!(p.pixels, [7, 4, 1, 8, 5, 2, 9, 6, 3]);
            let mut same = picture();
            affine(
                &mut same,
                Matrix2::identity(),
                Vector2::zeros(),
                bilinear,
                0,
            );
            assert_eq!(same, picture());
        }
    }

    #[test]
    fn between_pixels_the_four_around_are_blended() {
        let by = Vector2::new(0.25, 0.5);
        let mut p = Picture {
            h: 2,
            w: 2,
            c: 1,
            pixels: vec![0, 40, 80, 200],
        };
        affine(&mut p, Matrix2::identity(), by, true, 100);
        // 0.25 to the right and half a pixel down; what lies outside is 100.
        let two = |top: [f32; 2], bottom: [f32; 2]| {
            let row = |[a, b]: [f32; 2]| 0.75 * a + 0.25 * b;
            (0.5 * row(top) + 0.5 * row(bottom)).round() as u8
        };
        let expected = [
            two([0.0, 40.0], [80.0, 200.0]),
            two([40.0, 100.0], [200.0, 100.0]),
            two([80.0, 200.0], [100.0, 100.0]),
            two([200.0, 100.0], [100.0, 100.0]),
        ];
        assert_eq!(p.pixels, expected);
    }
}
