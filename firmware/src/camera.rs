//! Where frames come from.
//!
//! A camera hands out frames in the model's own size; a driver whose sensor has another one
//! converts with `pupil_core::preprocess`, the code that the trainer uses too.

use core::convert::Infallible;

use crate::images::Images;

/// A source of frames.
pub trait Camera {
    /// Why a frame can't be had.
    type Error;

    /// Bytes of every frame: height x width x channels. The application compares it with the
    /// model once, at its start, so that a wrong format is an error and not a wrong answer.
    fn frame_len(&self) -> usize;

    /// The next frame; none when the source has ended.
    ///
    /// # Errors
    /// The source's own.
    fn capture(&mut self) -> Result<Option<Frame<'_>>, Self::Error>;
}

/// One frame: u8 pixels, row-major, channels interleaved. Lies where the camera put it, for
/// example in a DMA buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The pixels.
    pub pixels: &'a [u8],
    /// True class, where it is known: test images.
    pub label: Option<u16>,
}

/// A camera that shows test images from flash, one after the other.
#[derive(Clone, Debug)]
pub struct EmbeddedImages<'a> {
    images: Images<'a>,
    next: usize,
}

impl<'a> EmbeddedImages<'a> {
    /// From the first image on.
    pub fn new(images: Images<'a>) -> Self {
        Self { images, next: 0 }
    }
}

impl Camera for EmbeddedImages<'_> {
    type Error = Infallible;

    fn frame_len(&self) -> usize {
        self.images.frame_len()
    }

    fn capture(&mut self) -> Result<Option<Frame<'_>>, Infallible> {
        let image = self.images.get(self.next);
        self.next += usize::from(image.is_some());
        Ok(image.map(|(label, pixels)| Frame {
            pixels,
            label: Some(label.into()),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_images_in_order_and_then_none() {
        let bytes = *b"PIMG\x02\0\x01\0\x02\0\x01\0\x07ab\x09cd";
        let mut camera = EmbeddedImages::new(Images::parse(&bytes).unwrap());
        assert_eq!(camera.frame_len(), 2);
        let first = Frame {
            pixels: b"ab",
            label: Some(7),
        };
        let second = Frame {
            pixels: b"cd",
            label: Some(9),
        };
        assert_eq!(camera.capture(), Ok(Some(first)));
        assert_eq!(camera.capture(), Ok(Some(second)));
        assert_eq!(camera.capture(), Ok(None));
        assert_eq!(camera.capture(), Ok(None));
    }
}
