//! What a task asks about images.

use burn::tensor::TensorData;

/// Images as a task shows them, and the answers.
pub(crate) struct Questions {
    /// `[n, h, w, c]`.
    pub x: TensorData,
    /// Answers; one a row, or one for four tiles.
    pub labels: Vec<u8>,
}
