//! The images that a net of the zoo is for.

use serde::{Deserialize, Serialize};

/// What a net of the zoo is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Images {
    /// Height, width and channels.
    pub input: [usize; 3],
    /// Classes.
    pub classes: usize,
    /// Stride of the first convolution: 1 for images of about 32 pixels, 2 for 64 and more.
    pub stem_stride: usize,
}

impl Images {
    /// The stem's stride follows from the size.
    pub(crate) fn new(input: [usize; 3], classes: usize) -> Self {
        let stem_stride = if input[0].max(input[1]) > 48 { 2 } else { 1 };
        Self {
            input,
            classes,
            stem_stride,
        }
    }
}
