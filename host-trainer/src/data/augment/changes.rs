//! The choice of changes to a training image.

use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::blank::blank_square;
use super::geometry;
use super::picture::Picture;
use super::rand_augment::RandAugment;

/// How a training image is changed before the net sees it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Augment {
    /// As it is.
    None,
    /// Shifted by up to `shift` pixels, mirrored with probability one half where `flip`.
    Weak {
        /// Most pixels in each direction.
        shift: usize,
        /// Whether left and right may be exchanged.
        flip: bool,
    },
    /// Weak, then RandAugment, then a square of `cutout` pixels a side blanked.
    Strong {
        /// Most pixels of shift in each direction.
        shift: usize,
        /// Whether left and right may be exchanged.
        flip: bool,
        /// The operations.
        rand_augment: RandAugment,
        /// Side of the blanked square; 0 for none.
        cutout: usize,
    },
}

impl Augment {
    /// Changes `picture`; new area is filled with `fill`.
    pub fn apply(&self, picture: &mut Picture, fill: u8, rng: &mut ChaCha8Rng) {
        match *self {
            Self::None => {}
            Self::Weak { shift, flip } => weak(picture, shift, flip, fill, rng),
            Self::Strong {
                shift,
                flip,
                rand_augment,
                cutout,
            } => {
                weak(picture, shift, flip, fill, rng);
                rand_augment.apply(picture, fill, rng);
                if cutout > 0 {
                    blank_square(picture, cutout, fill, rng);
                }
            }
        }
    }
}

fn weak(picture: &mut Picture, shift: usize, flip: bool, fill: u8, rng: &mut ChaCha8Rng) {
    if flip && rng.next_u32() & 1 == 1 {
        geometry::mirror(picture);
    }
    let most = shift as i32;
    if most > 0 {
        let (dy, dx) = (
            rng.random_range(-most..=most),
            rng.random_range(-most..=most),
        );
        geometry::shift(picture, dy, dx, fill);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn picture() -> Picture {
        Picture {
            h: 9,
            w: 7,
            c: 1,
            pixels: (0..63).map(|i| i * 4).collect(),
        }
    }

    #[test]
    fn a_stream_fixes_the_result() {
        let strong = Augment::Strong {
            shift: 2,
            flip: true,
            rand_augment: RandAugment {
                operations: 2,
                magnitude: (1.0, 10.0),
                increasing: false,
                bilinear: true,
            },
            cutout: 4,
        };
        let run = |seed| {
            let mut p = picture();
            strong.apply(&mut p, 128, &mut ChaCha8Rng::seed_from_u64(seed));
            p
        };
        assert_eq!(run(1), run(1));
        assert!((0..20).any(|s| run(s) != run(s + 1)));
        assert!((0..200).all(|s| run(s).pixels.len() == 63));
    }

    #[test]
    fn none_changes_nothing_and_draws_nothing() {
        let (mut p, mut rng) = (picture(), ChaCha8Rng::seed_from_u64(3));
        Augment::None.apply(&mut p, 0, &mut rng);
        assert_eq!(p, picture());
        assert_eq!(rng, ChaCha8Rng::seed_from_u64(3));
    }
}
