//! The packed model: `FORMAT.md` describes it byte by byte.
//!
//! [`Model::parse`] checks everything once; after that every accessor and the interpreter work
//! without errors or panics, whatever the bytes were.

mod aligned;
#[cfg(feature = "std")]
mod builder;
mod bytes;
mod check;
mod filter;
mod header;
mod layer;
mod record;
mod stream;
mod work;

pub use aligned::{Aligned, IntoModelBytes, ModelBytes};
#[cfg(feature = "std")]
pub use builder::{
    BuildError, Channel, Conv, Depthwise, Fused, ModelBuilder, Pad, Pool, TensorId, check_label,
};
pub use header::{InputSpec, Model, PixelFormat, TensorInfo};
pub use layer::{Layer, Operator};

#[cfg(feature = "std")]
pub(crate) use bytes::crc32;
#[cfg(feature = "std")]
pub(crate) use header::{CRC_START, HEADER_BYTES, LAYER_BYTES, TENSOR_BYTES};
pub(crate) use layer::code;
#[cfg(feature = "std")]
pub(crate) use stream::{LINK_BYTES, STREAM_BYTES};
pub(crate) use stream::{LinkRecord, StreamRecord, record_of};

/// Greatest format version that this build reads and writes: that of models with streams.
pub const FORMAT_VERSION: u16 = 3;

/// Format version of models whose layers all run one by one. Older ones are not read.
pub const PLAIN_VERSION: u16 = 2;

/// Most layers of a model. The largest EfficientNet has about 450.
pub const MAX_LAYERS: usize = 1024;

/// Greatest height, width or number of channels of a map.
pub const MAX_SIDE: usize = u16::MAX as usize;

/// Most values of a map, whether it is whole or only some of its rows exist: their number fits an i32,
/// also on a chip.
pub const MAX_VALUES: u64 = i32::MAX as u64;

/// Greatest side and stride of a window.
pub const MAX_WINDOW: usize = u8::MAX as usize;

/// Most tensors that are needed at a time. Networks with one path have two or three, Inception's
/// modules five; a record of each is kept while a model is checked.
pub const MAX_LIVE: usize = 64;

#[cfg(all(test, feature = "std"))]
mod tests;
