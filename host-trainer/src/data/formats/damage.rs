//! Why an image can't be used.

use thiserror::Error;

use crate::data::memory::TooLarge;

/// Most pixels that are decoded: more than any camera takes in one shot.
pub(crate) const MOST_PIXELS: u64 = 1 << 28;

/// Most scans of a JPEG: cameras make up to about ten.
pub(crate) const MOST_SCANS: u32 = 100;

/// Why an image can't be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum Damage {
    /// Nothing in it.
    #[error("the file is empty")]
    Empty,
    /// The first bytes are those of none of the formats.
    #[error("not a PNG, JPEG, BMP, PGM or PPM image: it starts with {0:02x?}")]
    Format(Vec<u8>),
    /// A JPEG without its end.
    #[error("JPEG data ends after {0} bytes, before the image does")]
    Cut(usize),
    /// A JPEG that goes through its image more often than any camera's.
    #[error("JPEG data goes {0} times through the image: at most {MOST_SCANS} are read")]
    Scans(u32),
    /// Larger than anything that is decoded.
    #[error("{w}x{h} pixels are too many: at most {} million are read, 32768 a side", MOST_PIXELS / 1_000_000)]
    Pixels {
        /// Announced width.
        w: u32,
        /// Announced height.
        h: u32,
    },
    /// More pixels than the file has room for.
    #[error("it announces {w}x{h} pixels, which its {bytes} bytes cannot hold")]
    Hollow {
        /// Announced width.
        w: u32,
        /// Announced height.
        h: u32,
        /// Bytes of the file.
        bytes: u64,
    },
    /// What the decoder says.
    #[error("{0}")]
    Decoder(String),
    /// The system's words.
    #[error("can't be read: {0}")]
    Io(String),
    /// More memory than there is.
    #[error("{0}: make it smaller, or allow the program more memory")]
    Memory(#[from] TooLarge),
}

impl Damage {
    /// Whether this is a fact about the file's content, which stays as long as the content does.
    /// Permissions, disks and memory come back.
    pub(crate) fn lasts(&self) -> bool {
        !matches!(self, Self::Io(_) | Self::Memory(_))
    }
}
