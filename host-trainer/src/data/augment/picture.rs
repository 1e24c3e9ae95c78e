//! The image that augmentation works on.

/// One image being augmented: u8, HWC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Height.
    pub h: usize,
    /// Width.
    pub w: usize,
    /// Channels: 1 grey, 3 RGB.
    pub c: usize,
    /// Row-major bytes.
    pub pixels: Vec<u8>,
}
