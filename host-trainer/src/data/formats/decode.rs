//! One image file's bytes to pixels: PNG, JPEG, BMP, PGM and PPM, upright by its EXIF tag.
//!
//! 16-bit samples become 8-bit, an alpha channel is dropped. The header is checked before a pixel
//! is decoded. A decoder's own panic costs that one image: it is caught and reported as damage.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ImageDecoder, ImageError, ImageReader, Limits};

use super::claims::Claims;
use super::damage::{Damage, MOST_SCANS};
use super::jpeg;
use crate::util::numbers::bytes;

/// Most bytes that a decoder may allocate before it comes to the pixels.
const MOST_EXTRAS: u64 = 32 << 20;

/// Extensions of files that are taken for images, in lower case.
pub(crate) const EXTENSIONS: [&str; 9] = [
    "png", "jpg", "jpeg", "jpe", "bmp", "pgm", "ppm", "pnm", "pbm",
];

/// A decoded image: u8, HWC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decoded {
    /// Height, width, channels (1 grey, 3 RGB).
    pub dims: [usize; 3],
    /// Row-major bytes.
    pub pixels: Vec<u8>,
}

/// Whether a file name ends like an image's.
pub(crate) fn is_image_name(name: &str) -> bool {
    let extension = name.rsplit_once('.').map(|(_, e)| e.to_ascii_lowercase());
    extension.is_some_and(|e| EXTENSIONS.contains(&e.as_str()))
}

/// Decodes a whole file, whatever memory that takes.
///
/// # Errors
/// Any [`Damage`] but `Io` and `Memory`.
#[cfg(test)]
pub(crate) fn decode(bytes: &[u8]) -> Result<Decoded, Damage> {
    decode_within(bytes, |_| Ok(()))
}

/// Decodes a whole file if `allow` has nothing against the bytes of memory that decoding takes,
/// and fitting its result to a net, besides those of the file.
///
/// # Errors
/// Any [`Damage`] but `Io`, or what `allow` says.
pub(crate) fn decode_within(
    bytes: &[u8],
    allow: impl FnOnce(u64) -> Result<(), Damage>,
) -> Result<Decoded, Damage> {
    guarded(|| {
        let look = jpeg::look(bytes);
        if let Some(end) = look.cut {
            return Err(Damage::Cut(end));
        }
        if look.scans > MOST_SCANS {
            return Err(Damage::Scans(look.scans));
        }
        let mut decoder = open(bytes)?;
        let (claims, orientation) = decoder.check(bytes, bytes.len() as u64)?;
        allow(claims.memory())?;
        let mut image = DynamicImage::from_decoder(decoder.inner).map_err(told)?;
        image.apply_orientation(orientation);
        let (w, h) = (image.width() as usize, image.height() as usize);
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

/// Height, width and channels by the header alone, upright, of a file of `size` bytes that
/// begins with `bytes`.
///
/// # Errors
/// As [`decode_within`]; damage behind the header is not seen.
pub(crate) fn header(bytes: &[u8], size: u64) -> Result<[usize; 3], Damage> {
    guarded(|| {
        let mut decoder = open(bytes)?;
        let (claims, orientation) = decoder.check(bytes, size)?;
        let [w, h] = claims.size.map(|s| s as usize);
        let turned = orientation.to_exif() >= 5;
        let (h, w) = if turned { (w, h) } else { (h, w) };
        Ok([h, w, claims.channels as usize])
    })
}

struct Opened<D> {
    inner: D,
    format: image::ImageFormat,
}

impl<D: ImageDecoder> Opened<D> {
    /// What the header claims, if it can be true, and how the image is turned.
    fn check(&mut self, bytes: &[u8], file: u64) -> Result<(Claims, Orientation), Damage> {
        let (w, h) = self.inner.dimensions();
        let mut claims = Claims {
            file,
            size: [w, h],
            decoded: self.inner.total_bytes(),
            channels: channels(&self.inner) as u64,
            turned: false,
            coefficients: jpeg::look(bytes).coefficients,
            format: self.format,
        };
        claims.check()?;
        let orientation = self.inner.orientation().map_err(told)?;
        claims.turned = orientation != Orientation::NoTransforms;
        Ok((claims, orientation))
    }
}

fn channels(decoder: &impl ImageDecoder) -> usize {
    match decoder.color_type() {
        ColorType::L8 | ColorType::La8 | ColorType::L16 | ColorType::La16 => 1,
        _ => 3,
    }
}

fn open(bytes: &[u8]) -> Result<Opened<impl ImageDecoder + '_>, Damage> {
    if bytes.is_empty() {
        return Err(Damage::Empty);
    }
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|e| Damage::Io(e.to_string()))?;
    let Some(format) = reader.format() else {
        return Err(Damage::Format(bytes.iter().take(4).copied().collect()));
    };
    // Sizes are checked by their own rules, which name them.
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MOST_EXTRAS);
    reader.limits(limits);
    let inner = reader.into_decoder().map_err(told)?;
    Ok(Opened { inner, format })
}

fn told(error: ImageError) -> Damage {
    Damage::Decoder(match error {
        ImageError::Limits(_) => format!(
            "a color profile or a text in it takes more than {}",
            bytes(MOST_EXTRAS)
        ),
        other => other.to_string(),
    })
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
                assert_eq!(header(&bytes, bytes.len() as u64).unwrap(), image.dims);
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
            assert_eq!(header(&turned(tag), 1 << 16).unwrap(), image.dims);
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
        let found = decode(b"P6 30000 30000 255\n123").unwrap_err();
        assert!(matches!(found, Damage::Pixels { w: 30000, .. }), "{found}");
        let found = decode(b"P6 9000 9000 255\n123").unwrap_err();
        assert!(matches!(found, Damage::Hollow { bytes: 20, .. }), "{found}");
        assert!(decode(b"P5 99999 1 255\n123").is_err());
    }

    /// A JPEG whose frame header says another size.
    fn resized(mut bytes: Vec<u8>, w: u16, h: u16) -> Vec<u8> {
        let at = bytes.windows(2).position(|m| m == [0xff, 0xc0]).unwrap();
        bytes[at + 5..at + 7].copy_from_slice(&h.to_be_bytes());
        bytes[at + 7..at + 9].copy_from_slice(&w.to_be_bytes());
        bytes
    }

    fn memory(bytes: &[u8]) -> Result<u64, Damage> {
        let mut needed = 0;
        decode_within(bytes, |n| {
            needed = n;
            Err(Damage::Empty)
        })
        .map(|_| 0)
        .or_else(|damage| if needed > 0 { Ok(needed) } else { Err(damage) })
    }

    #[test]
    fn a_jpeg_of_471_bytes_that_would_take_2_gb_is_refused_by_its_header() {
        for color in [false, true] {
            let small = file(ImageFormat::Jpeg, 8, 8, color);
            for (w, h) in [(29_545, 31_333), (16_000, 16_000), (65_535, 3)] {
                let bytes = resized(small.clone(), w, h);
                for found in [decode(&bytes).err(), memory(&bytes).err()] {
                    let text = found.unwrap().to_string();
                    assert!(text.contains(&format!("{w}x{h} pixels")), "{text}");
                }
            }
        }
    }

    #[test]
    fn a_png_whose_profile_unpacks_to_megabytes_is_read_without_it() {
        use std::io::Write;
        let plain = file(ImageFormat::Png, 12, 8, true);
        let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        packed.write_all(&vec![0; 40 << 20]).unwrap();
        let mut chunk = b"iCCPx\0\0".to_vec();
        chunk.extend(packed.finish().unwrap());
        // Behind the signature and IHDR.
        let mut bytes = plain[..33].to_vec();
        bytes.extend((chunk.len() as u32 - 4).to_be_bytes());
        bytes.extend(&chunk);
        bytes.extend(crc32fast::hash(&chunk).to_be_bytes());
        bytes.extend(&plain[33..]);
        assert!(memory(&bytes).unwrap() < 1 << 20);
        assert_eq!(decode(&bytes), decode(&plain));
    }

    #[test]
    fn memory_is_known_before_it_is_taken() {
        let need = |bytes: &[u8]| memory(bytes).unwrap();
        let plain = need(&file(ImageFormat::Png, 1200, 800, true));
        assert!((2 * 2_880_000..12_000_000).contains(&plain), "{plain}");
        assert!(need(&turned(6)) < 1 << 20);
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
            let (whole, first) = (decode(&bytes), header(&bytes, bytes.len() as u64));
            if let Ok(image) = whole {
                prop_assert_eq!(image.dims.iter().product::<usize>(), image.pixels.len());
                prop_assert_eq!(first.unwrap(), image.dims);
                prop_assert!(memory(&bytes).is_ok());
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
