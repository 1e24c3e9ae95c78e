//! Small helpers that every other room may use. Nothing here knows of images, nets or runs.
//!
//! - [`console`]: printing that never panics and never lets a name drive the terminal
//! - [`files`], [`regular`]: files read within bounds, and written whole or not at all
//! - [`threads`], [`random`]: the worker threads; random streams that depend on their name alone
//! - [`limits`]: which packed models this host agrees to run
//! - [`numbers`], [`statistics`], [`hash`]: thousands and bytes for people, confidence intervals,
//!   SHA-256
//! - [`call`]: how the user calls this program, for advice in messages
//! - [`allocator`]: the memory allocator of the program

pub mod allocator;
pub(crate) mod call;
pub(crate) mod console;
pub(crate) mod files;
pub(crate) mod hash;
pub(crate) mod limits;
pub(crate) mod numbers;
pub mod random;
pub(crate) mod regular;
pub(crate) mod statistics;
pub mod threads;
