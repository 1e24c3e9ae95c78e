//! Where frames come from.

use crate::images::Images;

/// A source of frames in the model's own size and pixel format.
pub trait Camera {
    /// Why a frame can't be had.
    type Error;

    /// The next frame and, where it is known, its true class; none when the source has ended.
    ///
    /// # Errors
    /// The source's own.
    fn capture(&mut self) -> Result<Option<Frame<'_>>, Self::Error>;
}

/// One frame: u8 pixels, row-major, channels interleaved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The pixels.
    pub pixels: &'a [u8],
    /// True class of a test image.
    pub label: Option<u8>,
}

/// Test images in flash, one after the other.
#[derive(Debug)]
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
    type Error = core::convert::Infallible;

    fn capture(&mut self) -> Result<Option<Frame<'_>>, Self::Error> {
        let frame = self.images.get(self.next);
        self.next += 1;
        Ok(frame.map(|(label, pixels)| Frame {
            pixels,
            label: Some(label),
        }))
    }
}
