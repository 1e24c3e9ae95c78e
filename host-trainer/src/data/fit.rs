//! Any image to the net's size: channels, center crop or letterbox, resizing.
//!
//! Shrinking and grey are core's own code, so that a camera frame on the chip and a photo here
//! become the same bytes; each target pixel is the mean of its source pixels, which is what
//! keeps fine patterns from aliasing. Enlarging, which no chip does, is bilinear.

use std::borrow::Cow;

use image::imageops::{self, FilterType};
use image::{GrayImage, RgbImage};
use pupil_core::op::shape::Shape;
use pupil_core::preprocess;
use serde::{Deserialize, Serialize};

use super::formats::decode::Decoded;

/// What to do with an image of another aspect ratio.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fit {
    /// The largest middle part with the net's aspect ratio.
    Crop,
    /// The whole image, with bars of middle grey.
    Letterbox,
}

impl Fit {
    /// "crop" or "letterbox".
    pub fn word(self) -> &'static str {
        match self {
            Self::Crop => "crop",
            Self::Letterbox => "letterbox",
        }
    }
}

/// Value of the letterbox's bars.
const BAR: u8 = 128;

/// The image as `dims` (height, width, channels 1 or 3), row-major.
pub(crate) fn fit(image: &Decoded, dims: [usize; 3], fit: Fit) -> Vec<u8> {
    let [th, tw, tc] = dims;
    let [h, w, _] = image.dims;
    match fit {
        Fit::Crop => {
            // The larger of the two middle rectangles that touch a side.
            let (ch, cw) = if h * tw > w * th {
                (((w * th + tw / 2) / tw).clamp(1, h), w)
            } else {
                (h, ((h * tw + th / 2) / th).clamp(1, w))
            };
            let part = crop(image, (h - ch) / 2, (w - cw) / 2, ch, cw);
            shrunk(&part, tc, th, tw).pixels
        }
        Fit::Letterbox => {
            let (sh, sw) = if h * tw > w * th {
                (th, ((w * th + h / 2) / h).clamp(1, tw))
            } else {
                (((h * tw + w / 2) / w).clamp(1, th), tw)
            };
            let small = shrunk(image, tc, sh, sw);
            let mut out = vec![BAR; th * tw * tc];
            let (top, left) = ((th - sh) / 2, (tw - sw) / 2);
            for (y, row) in small.pixels.chunks_exact(sw * tc).enumerate() {
                out[((top + y) * tw + left) * tc..][..sw * tc].copy_from_slice(row);
            }
            out
        }
    }
}

/// With `tc` channels and in size `th`, `tw`. Color becomes grey before it is resized, as on the
/// chip; grey is repeated only after, for the same values in less memory.
fn shrunk(image: &Decoded, tc: usize, th: usize, tw: usize) -> Decoded {
    match (image.dims[2], tc) {
        (3, 1) => resize(&grey(image), th, tw),
        (1, 3) => repeated(resize(image, th, tw)),
        _ => resize(image, th, tw),
    }
}

fn crop(image: &Decoded, top: usize, left: usize, h: usize, w: usize) -> Cow<'_, Decoded> {
    let [all, whole, c] = image.dims;
    if (h, w) == (all, whole) {
        return Cow::Borrowed(image);
    }
    let mut pixels = Vec::with_capacity(h * w * c);
    for y in top..top + h {
        pixels.extend_from_slice(&image.pixels[(y * whole + left) * c..][..w * c]);
    }
    Cow::Owned(Decoded {
        dims: [h, w, c],
        pixels,
    })
}

/// Grey as core makes it, (77 r + 150 g + 29 b) / 256, of a color image.
pub(crate) fn grey(image: &Decoded) -> Decoded {
    let [h, w, _] = image.dims;
    let pixels = image.pixels.as_chunks::<3>().0.iter().map(|p| {
        let [r, g, b] = p.map(u32::from);
        ((77 * r + 150 * g + 29 * b + 128) >> 8) as u8
    });
    Decoded {
        dims: [h, w, 1],
        pixels: pixels.collect(),
    }
}

fn repeated(image: Decoded) -> Decoded {
    let [h, w, _] = image.dims;
    Decoded {
        dims: [h, w, 3],
        pixels: image.pixels.iter().flat_map(|p| [*p; 3]).collect(),
    }
}

/// To another height and width, channels kept.
pub(crate) fn resize(image: &Decoded, th: usize, tw: usize) -> Decoded {
    let [h, w, c] = image.dims;
    let (mh, mw) = (h.min(th), w.min(tw));
    let mut small = vec![0; mh * mw * c];
    // Sizes fit by construction: the only errors that `shrink` knows.
    let done = preprocess::shrink(
        &image.pixels,
        Shape::new(h, w, c),
        &mut small,
        Shape::new(mh, mw, c),
    );
    debug_assert_eq!(done, Ok(()));
    let pixels = if (mh, mw) == (th, tw) {
        small
    } else {
        enlarge(small, (mh, mw, c), th, tw)
    };
    Decoded {
        dims: [th, tw, c],
        pixels,
    }
}

fn enlarge(pixels: Vec<u8>, (h, w, c): (usize, usize, usize), th: usize, tw: usize) -> Vec<u8> {
    let (h, w, th, tw) = (h as u32, w as u32, th as u32, tw as u32);
    let done = if c == 1 {
        GrayImage::from_raw(w, h, pixels)
            .map(|i| imageops::resize(&i, tw, th, FilterType::Triangle).into_raw())
    } else {
        RgbImage::from_raw(w, h, pixels)
            .map(|i| imageops::resize(&i, tw, th, FilterType::Triangle).into_raw())
    };
    done.unwrap_or_else(|| vec![BAR; th as usize * tw as usize * c])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ramp(h: usize, w: usize) -> Decoded {
        Decoded {
            dims: [h, w, 1],
            pixels: (0..h * w).map(|i| (i % w * 10) as u8).collect(),
        }
    }

    #[test]
    fn crop_takes_the_middle_and_letterbox_the_whole() {
        // 2 rows of 0 10 20 30 40 50: the middle square holds 20 and 30.
        let wide = ramp(2, 6);
        assert_eq!(fit(&wide, [2, 2, 1], Fit::Crop), [20, 30, 20, 30]);
        let boxed = fit(&wide, [6, 6, 1], Fit::Letterbox);
        assert_eq!(boxed[..12], [BAR; 12]);
        assert_eq!(boxed[12..18], [0, 10, 20, 30, 40, 50]);
        assert_eq!(boxed[24..], [BAR; 12]);
    }

    #[test]
    fn shrinking_a_fine_pattern_gives_its_mean() {
        let stripes = Decoded {
            dims: [8, 8, 1],
            pixels: (0..64).map(|i| if i % 2 == 0 { 0 } else { 200 }).collect(),
        };
        assert_eq!(fit(&stripes, [4, 4, 1], Fit::Crop), [100; 16]);
    }

    #[test]
    fn channels_follow_core() {
        let red = Decoded {
            dims: [1, 1, 3],
            pixels: vec![255, 0, 0],
        };
        assert_eq!(fit(&red, [1, 1, 1], Fit::Crop), [77]);
        assert_eq!(fit(&ramp(1, 1), [2, 2, 3], Fit::Crop), [0; 12]);
    }

    proptest! {
        #[test]
        fn every_size_fits_and_a_plain_image_stays_plain(
            h in 1usize..40, w in 1usize..40, th in 1usize..20, tw in 1usize..20,
            c in prop::sample::select(vec![1usize, 3]), tc in prop::sample::select(vec![1usize, 3]),
            value in any::<u8>(),
        ) {
            let image = Decoded { dims: [h, w, c], pixels: vec![value; h * w * c] };
            let cropped = fit(&image, [th, tw, tc], Fit::Crop);
            prop_assert_eq!(cropped.len(), th * tw * tc);
            prop_assert!(cropped.iter().all(|p| *p == value));
            let boxed = fit(&image, [th, tw, tc], Fit::Letterbox);
            prop_assert!(boxed.len() == th * tw * tc && boxed.contains(&value));
        }
    }
}
