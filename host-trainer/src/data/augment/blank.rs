//! Cutout: a blank square.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::picture::Picture;

/// Blanks a square of `side` pixels around a random center; parts may lie outside (arXiv
/// 1708.04552).
pub(super) fn blank_square(picture: &mut Picture, side: usize, fill: u8, rng: &mut ChaCha8Rng) {
    let (cy, cx) = (
        rng.random_range(0..picture.h),
        rng.random_range(0..picture.w),
    );
    let rows = cy.saturating_sub(side / 2)..(cy + side.div_ceil(2)).min(picture.h);
    let columns = cx.saturating_sub(side / 2)..(cx + side.div_ceil(2)).min(picture.w);
    for y in rows {
        let row = y * picture.w;
        picture.pixels[(row + columns.start) * picture.c..(row + columns.end) * picture.c]
            .fill(fill);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn a_blank_square_is_at_most_its_side() {
        for seed in 0..50 {
            let mut p = Picture {
                h: 9,
                w: 9,
                c: 1,
                pixels: vec![9; 81],
            };
            blank_square(&mut p, 4, 0, &mut ChaCha8Rng::seed_from_u64(seed));
            let blanked = p.pixels.iter().filter(|v| **v == 0).count();
            assert!((4..=16).contains(&blanked), "{blanked}");
        }
    }
}
