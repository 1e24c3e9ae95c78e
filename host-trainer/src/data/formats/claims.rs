//! What an image's header announces, checked before a pixel is decoded.
//!
//! A file of 471 bytes may announce 29545x31333 pixels: decoders believe it and fill 2.7 GB with
//! grey. Here the announced size must be one that so many bytes can hold, and what decoding will
//! take is known before it is taken.

use image::ImageFormat;

use super::damage::{Damage, MOST_PIXELS};

/// Longest side that is decoded.
const MOST_SIDE: u32 = 32_768;

/// What a header says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claims {
    /// Bytes of the file.
    pub file: u64,
    /// Stored width and height.
    pub size: [u32; 2],
    /// Bytes of the pixels as they are decoded.
    pub decoded: u64,
    /// Channels that are used: 1 or 3.
    pub channels: u64,
    /// Whether the pixels must be turned upright.
    pub turned: bool,
    /// Whether the decoder keeps a JPEG's coefficients until the last scan.
    pub coefficients: bool,
    /// Kind of file.
    pub format: ImageFormat,
}

impl Claims {
    fn pixels(&self) -> u64 {
        u64::from(self.size[0]) * u64::from(self.size[1])
    }

    /// Whether such an image can be.
    ///
    /// # Errors
    /// No pixels, too many of them, or more than the file can hold.
    pub(crate) fn check(&self) -> Result<(), Damage> {
        let [w, h] = self.size;
        if w == 0 || h == 0 {
            return Err(Damage::Decoder("an image without pixels".into()));
        }
        if w > MOST_SIDE || h > MOST_SIDE || self.pixels() > MOST_PIXELS {
            return Err(Damage::Pixels { w, h });
        }
        // Most pixels that a byte can stand for. JPEG: a block of 64 takes at least a bit.
        // PNG: deflate packs at most 1032 to 1, and a byte has eight pixels. BMP: a run of 255
        // takes two bytes; what its codes skip is no photo.
        let most = match self.format {
            ImageFormat::Jpeg => 8 * 64,
            ImageFormat::Png => 8 * 1032,
            ImageFormat::Bmp => 128,
            _ => 8,
        };
        if self.file.saturating_mul(most) < self.pixels() {
            return Err(Damage::Hollow {
                w,
                h,
                bytes: self.file,
            });
        }
        Ok(())
    }

    /// Bytes that decoding takes at most, with what fitting to the net's size copies, besides
    /// the file's own.
    pub(crate) fn memory(&self) -> u64 {
        let pixels = self.pixels();
        let used = pixels * self.channels;
        let mut decoding = self.decoded;
        if self.decoded != used {
            decoding += used;
        }
        if self.turned {
            decoding += self.decoded;
        }
        if self.coefficients {
            // Two bytes each, up to four components, in whole units of 32x32.
            let [w, h] = self.size.map(|s| u64::from(s) + 32);
            decoding += 8 * w * h;
        }
        // A crop, and its grey.
        let fitting = 2 * used + pixels;
        // The JPEG decoder copies the file, and its metadata once more.
        let copies = if self.format == ImageFormat::Jpeg {
            3
        } else {
            1
        };
        decoding.max(fitting) + copies * self.file + (1 << 16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jpeg(w: u32, h: u32, file: u64) -> Claims {
        Claims {
            file,
            size: [w, h],
            decoded: u64::from(w) * u64::from(h) * 3,
            channels: 3,
            turned: false,
            coefficients: false,
            format: ImageFormat::Jpeg,
        }
    }

    #[test]
    fn what_a_file_cannot_hold_is_refused_and_photos_are_not() {
        let refused = |c: Claims| c.check().unwrap_err().to_string();
        let text = refused(jpeg(29_545, 31_333, 471));
        assert!(text.contains("29545x31333 pixels are too many"), "{text}");
        let text = refused(jpeg(16_000, 16_000, 471));
        assert_eq!(
            text,
            "it announces 16000x16000 pixels, which its 471 bytes cannot hold"
        );
        let mut bmp = jpeg(16_000, 16_000, 54);
        bmp.format = ImageFormat::Bmp;
        assert!(refused(bmp).contains("cannot hold"));
        assert!(jpeg(0, 5, 471).check().is_err());
        assert!(jpeg(40_000, 5, 1 << 20).check().is_err());
        // 108 megapixels, as phones take them; a plain wall of 12.
        assert_eq!(jpeg(12_000, 9_000, 20 << 20).check(), Ok(()));
        assert_eq!(jpeg(4_000, 3_000, 60_000).check(), Ok(()));
        assert!(jpeg(12_000, 9_000, 20 << 20).memory() < 1 << 30);
        let mut kept = jpeg(12_000, 9_000, 20 << 20);
        kept.coefficients = true;
        assert!(kept.memory() > 1 << 30);
    }
}
