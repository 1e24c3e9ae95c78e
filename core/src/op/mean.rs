//! Parameters of a mean over height and width.

use super::Output;
use super::quant::Multiplier;
use super::shape::Shape;

/// Parameters of a mean.
#[derive(Clone, Copy, Debug)]
pub struct MeanParams<'a> {
    /// Input map; the output is 1 x 1 x c.
    pub input: Shape,
    /// Zero point of the input.
    pub input_zero_point: i32,
    /// Input scale over output scale, divided by the number of pixels.
    pub multiplier: Multiplier,
    /// Way of a sum to an int8.
    pub out: Output<'a>,
}
