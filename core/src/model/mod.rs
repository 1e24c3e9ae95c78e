//! The packed model: `FORMAT.md` describes it byte by byte.
//!
//! [`Model::parse`] checks everything once; after that every accessor and the interpreter work
//! without errors or panics, whatever the bytes were.

mod aligned;
mod bytes;
mod check;
mod filter;
pub mod format;
mod header;
mod layer;
mod operator;
mod parse;
mod stream;
mod work;

pub use aligned::{Aligned, IntoModelBytes, ModelBytes};
pub use bytes::crc32;
pub use format::{
    FORMAT_VERSION, LayerRecord, MAX_LAYERS, MAX_LIVE, MAX_SIDE, MAX_VALUES, MAX_WINDOW,
    PLAIN_VERSION,
};
pub use header::{InputSpec, Model, PixelFormat, TensorInfo};
pub use layer::Layer;
pub use stream::StreamRecord;
