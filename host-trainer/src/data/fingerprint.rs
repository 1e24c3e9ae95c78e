//! What an image is known by: the SHA-256 of its content, and a perceptual hash that survives
//! recompression and resizing.

use sha2::{Digest, Sha256};

use super::fit::{grey, resize};
use super::formats::decode::Decoded;

/// SHA-256 of an image's file, or of its size and pixels where many share a file.
pub(crate) type Key = [u8; 32];

/// Key of a file.
pub(crate) fn of_file(bytes: &[u8]) -> Key {
    Sha256::digest(bytes).into()
}

/// Key of an image without a file of its own.
pub(crate) fn of_pixels(image: &Decoded) -> Key {
    let mut sha = Sha256::new();
    for d in image.dims {
        sha.update((d as u64).to_le_bytes());
    }
    sha.update(&image.pixels);
    sha.finalize().into()
}

/// Difference hash: of a grey 9x9 miniature, whether each pixel is brighter than its right and
/// than its lower neighbor, 64 bits each ("dHash", Krawetz 2013).
pub(crate) fn difference_hash(image: &Decoded) -> u128 {
    let mut small = resize(image, 9, 9);
    if small.dims[2] == 3 {
        small = grey(&small);
    }
    let small = small.pixels;
    let at = |y: usize, x: usize| small[y * 9 + x];
    let mut hash = 0;
    for y in 0..8 {
        for x in 0..8 {
            let bits =
                u128::from(at(y, x) > at(y, x + 1)) << 1 | u128::from(at(y, x) > at(y + 1, x));
            hash = hash << 2 | bits;
        }
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scene(side: usize, shift: usize) -> Decoded {
        let value = |i: usize| {
            let (y, x) = (i / side * 360 / side, i % side * 360 / side + shift);
            let wave = (y as f64 / 40.0).sin() * 60.0 + (x as f64 / 25.0).cos() * 60.0;
            (128.0 + wave) as u8
        };
        Decoded {
            dims: [side, side, 1],
            pixels: (0..side * side).map(value).collect(),
        }
    }

    #[test]
    fn the_same_scene_in_another_size_is_near_and_another_scene_is_far() {
        let a = difference_hash(&scene(90, 0));
        let near = (a ^ difference_hash(&scene(180, 0))).count_ones();
        let far = (a ^ difference_hash(&scene(90, 120))).count_ones();
        assert!(near <= 10, "{near}");
        assert!(far > 20, "{far}");
    }

    #[test]
    fn keys_tell_sizes_apart() {
        let mut image = scene(6, 0);
        let key = of_pixels(&image);
        image.dims = [4, 9, 1];
        assert_ne!(of_pixels(&image), key);
        assert_ne!(of_file(b"a"), of_file(b"b"));
    }
}
