//! Parameters of average and maximum pooling.

use super::shape::{Shape, Window};

/// Parameters of a pooling.
#[derive(Clone, Copy, Debug)]
pub struct PoolParams {
    /// Input map.
    pub input: Shape,
    /// Output map, of as many channels.
    pub output: Shape,
    /// Window; pixels outside the image are not counted.
    pub window: Window,
    /// Lower clamp.
    pub min: i32,
    /// Upper clamp.
    pub max: i32,
}
