//! Streams: layers that run together, a few rows at a time.
//!
//! Between two layers of a stream only the rows exist that the second one's window still needs: a
//! *line buffer*. Each turn pulls: the last layer wants its next band of rows; whoever lacks rows of
//! its input wants them from the layer before, no more of them than that layer's band. Nothing is
//! computed twice. A band is a small map of its own: the kernels are those of whole layers.
//!
//! Rows move to the front of their buffer when its end is reached. A depthwise layer, an addition, a
//! multiplication or a table may write where it reads, as it may in whole maps.
//!
//! Interpreter, the model's checks and the planner all walk a stream with [`Stream`]: what has been
//! checked is what runs.

mod walk;

pub use walk::{FRAME, Link, LinkRecord, LinkShape, MAX_LINKS, Shift, Stream};
