//! One image file's bytes to pixels: PNG, JPEG, BMP, PGM and PPM, upright by its EXIF tag.
//!
//! 16-bit samples become 8-bit, an alpha channel is dropped. A decoder's own panic costs that
//! one image: it is caught and reported as damage.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::{ColorType, DynamicImage, ImageDecoder, ImageReader, Limits};
use thiserror::Error;

use super::jpeg;

/// Longest side that is decoded.
const MOST_SIDE: u32 = 32_768;
/// Most bytes that a decoder may allocate: a guard against announced sizes that are not there.
const MOST_BYTES: u64 = 1 << 30;

/// Extensions of files that are taken for images, in lower case.
pub const EXTENSIONS: [&str; 9] = [
    "png", "jpg", "jpeg", "jpe", "bmp", "pgm", "ppm", "pnm", "pbm",
];

/// Why an image can't be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Damage {
    /// Nothing in it.
    #[error("the file is empty")]
    Empty,
    /// The first bytes are those of none of the formats.
    #[error("not a PNG, JPEG, BMP, PGM or PPM image: it starts with {0:02x?}")]
    Format(Vec<u8>),
    /// A JPEG without its end.
    #[error("JPEG data ends after {0} bytes, before the image does")]
    Cut(usize),
    /// What the decoder says.
    #[error("{0}")]
    Decoder(String),
    /// The system's words.
    #[error("can't be read: {0}")]
    Io(String),
}

/// A decoded image: u8, HWC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// Height, width, channels (1 grey, 3 RGB).
    pub dims: [usize; 3],
    /// Row-major bytes.
    pub pixels: Vec<u8>,
}

/// Whether a file name ends like an image's.
pub fn is_image_name(name: &str) -> bool {
    let extension = name.rsplit_once('.').map(|(_, e)| e.to_ascii_lowercase());
    extension.is_some_and(|e| EXTENSIONS.contains(&e.as_str()))
}

/// Decodes a whole file. Memory: the decoded image twice.
///
/// # Errors
/// Any [`Damage`] but `Io`.
pub fn decode(bytes: &[u8]) -> Result<Decoded, Damage> {
    guarded(|| {
        if let Some(end) = jpeg::cut_at(bytes) {
            return Err(Damage::Cut(end));
        }
        let mut decoder = open(bytes)?;
        let orientation = decoder.orientation().map_err(told)?;
        let mut image = DynamicImage::from_decoder(decoder).map_err(told)?;
        image.apply_orientation(orientation);
        let (w, h) = (image.width() as usize, image.height() as usize);
        if h == 0 || w == 0 {
            return Err(Damage::Decoder("an image without pixels".into()));
        }
        let (c, pixels) = if image.color().has_color() {
            (3, image.into_rgb8().into_raw())
        } else {
            (1, image.into_luma8().into_raw())
        };
        Ok(Decoded {
            dims: [h, w, c],
            pixels,
        })
    })
}

/// Height, width and channels by the header alone, upright.
///
/// # Errors
/// As [`decode`]; damage behind the header is not seen.
pub fn header(bytes: &[u8]) -> Result<[usize; 3], Damage> {
    guarded(|| {
        let mut decoder = open(bytes)?;
        let (w, h) = decoder.dimensions();
        let grey = matches!(
            decoder.color_type(),
            ColorType::L8 | ColorType::La8 | ColorType::L16 | ColorType::La16
        );
        let exif = decoder.orientation().map_err(told)?.to_exif();
        let (h, w) = if exif >= 5 { (w, h) } else { (h, w) };
        Ok([h as usize, w as usize, if grey { 1 } else { 3 }])
    })
}

fn open(bytes: &[u8]) -> Result<impl ImageDecoder + '_, Damage> {
    if bytes.is_empty() {
        return Err(Damage::Empty);
    }
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|e| Damage::Io(e.to_string()))?;
    if reader.format().is_none() {
        return Err(Damage::Format(bytes.iter().take(4).copied().collect()));
    }
    let mut limits = Limits::default();
    limits.max_image_width = Some(MOST_SIDE);
    limits.max_image_height = Some(MOST_SIDE);
    limits.max_alloc = Some(MOST_BYTES);
    reader.limits(limits);
    reader.into_decoder().map_err(told)
}

fn told(error: image::ImageError) -> Damage {
    Damage::Decoder(error.to_string())
}

fn guarded<T>(work: impl FnOnce() -> Result<T, Damage>) -> Result<T, Damage> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Damage::Decoder("the decoder failed on it".into())))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use image::{GrayImage, ImageFormat, Luma, Rgb, RgbImage};
    use proptest::prelude::*;

    /// A file of the given format with a bright corner at the top left.
    pub(crate) fn file(format: ImageFormat, w: u32, h: u32, color: bool) -> Vec<u8> {
        let corner = |x, y| if x < w / 2 && y < h / 2 { 230u8 } else { 20 };
        let image: DynamicImage = if color {
            RgbImage::from_fn(w, h, |x, y| Rgb([corner(x, y), 90, 10])).into()
        } else {
            GrayImage::from_fn(w, h, |x, y| Luma([corner(x, y)])).into()
        };
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    /// A JPEG with an EXIF orientation tag.
    pub(crate) fn turned(orientation: u8) -> Vec<u8> {
        let plain = file(ImageFormat::Jpeg, 24, 16, false);
        let mut exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
        exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
        let mut bytes = plain[..2].to_vec();
        bytes.extend([0xff, 0xe1]);
        bytes.extend((exif.len() as u16 + 2).to_be_bytes());
        bytes.extend(exif);
        bytes.extend(&plain[2..]);
        bytes
    }

    #[test]
    fn every_format_grey_and_color() {
        for format in [
            ImageFormat::Png,
            ImageFormat::Jpeg,
            ImageFormat::Bmp,
            ImageFormat::Pnm,
        ] {
            for (color, c) in [(false, 1), (true, 3)] {
                let bytes = file(format, 12, 8, color);
                let image = decode(&bytes).unwrap();
                // BMP has no grey: a palette is read as color.
                let c = if format == ImageFormat::Bmp { 3 } else { c };
                assert_eq!(image.dims, [8, 12, c], "{format:?}");
                assert_eq!(header(&bytes).unwrap(), image.dims);
                // JPEG keeps color at half the resolution.
                let off = if format == ImageFormat::Jpeg { 45 } else { 0 };
                assert!(image.pixels[0].abs_diff(230) <= off, "{format:?}");
                assert_eq!(image.pixels.len(), 8 * 12 * c);
            }
        }
    }

    #[test]
    fn sixteen_bits_and_alpha_are_read() {
        let deep = image::ImageBuffer::from_fn(3, 2, |x, _| image::LumaA([x as u16 * 30_000, 5]));
        let mut bytes = Cursor::new(Vec::new());
        DynamicImage::ImageLumaA16(deep)
            .write_to(&mut bytes, ImageFormat::Png)
            .unwrap();
        let image = decode(&bytes.into_inner()).unwrap();
        assert_eq!(
            (image.dims, &image.pixels[..3]),
            ([2, 3, 1], &[0, 117, 233][..])
        );
    }

    #[test]
    fn exif_orientation_turns_the_image_upright() {
        // Where the bright corner of the stored image stands after each of the eight turns.
        let expected = [
            (0, 0),
            (0, 1),
            (1, 1),
            (1, 0),
            (0, 0),
            (0, 1),
            (1, 1),
            (1, 0),
        ];
        for (tag, (down, right)) in (1u8..=8).zip(expected) {
            let image = decode(&turned(tag)).unwrap();
            let [h, w, _] = image.dims;
            assert_eq!(
                (h, w),
                if tag < 5 { (16, 24) } else { (24, 16) },
                "tag {tag}"
            );
            assert_eq!(header(&turned(tag)).unwrap(), image.dims);
            let (y, x) = (down * (h - 1), right * (w - 1));
            assert!(image.pixels[y * w + x] > 180, "tag {tag}");
            assert!(
                image.pixels[(h - 1 - y) * w + (w - 1 - x)] < 80,
                "tag {tag}"
            );
        }
    }

    #[test]
    fn damage_is_told() {
        assert_eq!(decode(&[]), Err(Damage::Empty));
        assert!(matches!(decode(b"hello, world"), Err(Damage::Format(_))));
        for format in [
            ImageFormat::Png,
            ImageFormat::Jpeg,
            ImageFormat::Bmp,
            ImageFormat::Pnm,
        ] {
            let bytes = file(format, 40, 30, true);
            for cut in [
                bytes.len() / 3,
                bytes.len() / 2,
                bytes.len() - bytes.len() / 8,
            ] {
                assert!(decode(&bytes[..cut]).is_err(), "{format:?} cut at {cut}");
            }
        }
        let text = decode(&file(ImageFormat::Jpeg, 40, 30, true)[..500])
            .unwrap_err()
            .to_string();
        assert_eq!(
            text,
            "JPEG data ends after 500 bytes, before the image does"
        );
    }

    #[test]
    fn announced_sizes_that_are_not_there_are_refused() {
        let text = decode(b"P6 30000 30000 255\n123").unwrap_err();
        assert!(matches!(text, Damage::Decoder(_)), "{text}");
        assert!(decode(b"P5 99999 1 255\n123").is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(
            head in 0usize..6,
            body in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let heads: [&[u8]; 6] =
                [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"BM", b"P5 9 9 255\n", b"P3\n"];
            let mut bytes = heads[head].to_vec();
            bytes.extend(body);
            let (whole, first) = (decode(&bytes), header(&bytes));
            if let Ok(image) = whole {
                prop_assert_eq!(image.dims.iter().product::<usize>(), image.pixels.len());
                prop_assert_eq!(first.unwrap(), image.dims);
            }
        }

        #[test]
        fn changed_bytes_never_panic(
            format in 0usize..4,
            at in any::<proptest::sample::Index>(),
            value in any::<u8>(),
        ) {
            let format =
                [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Bmp, ImageFormat::Pnm][format];
            let mut bytes = file(format, 9, 7, true);
            let at = at.index(bytes.len());
            bytes[at] = value;
            if let Ok(image) = decode(&bytes) {
                prop_assert_eq!(image.dims.iter().product::<usize>(), image.pixels.len());
            }
        }
    }
}
