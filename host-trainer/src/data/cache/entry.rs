//! What a segment knows of one image.

use crate::data::fingerprint::Key;

/// What the index says of one image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Content of the original.
    pub key: Key,
    /// CRC-32 of the cached pixels.
    pub crc: u32,
    /// Sum of the cached pixels.
    pub sum: u32,
    /// Perceptual hash of the original.
    pub hash: u128,
    /// Height, width, channels of the original.
    pub original: [u32; 3],
}
