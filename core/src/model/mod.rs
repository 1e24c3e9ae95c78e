//! The packed model: `FORMAT.md` describes it byte by byte.
//!
//! [`Model::parse`] checks everything once; after that every accessor and the interpreter work
//! without errors or panics, whatever the bytes were.

#[cfg(feature = "std")]
mod builder;
mod bytes;
mod check;
mod filter;
mod header;
mod layer;
mod record;

#[cfg(feature = "std")]
pub use builder::{BuildError, Channel, Conv, Depthwise, Fused, ModelBuilder, Pad, Pool, TensorId};
pub use header::{InputSpec, Model, PixelFormat, TensorInfo};
pub use layer::{Layer, Operator};

/// Format version that this build writes, and the only one that it reads.
pub const FORMAT_VERSION: u16 = 2;

/// Most layers of a model. The largest EfficientNet has about 450; the memory plan's check looks at
/// pairs of layers and tensors, and stays short on a chip.
pub const MAX_LAYERS: usize = 1024;

#[cfg(all(test, feature = "std"))]
mod tests;
