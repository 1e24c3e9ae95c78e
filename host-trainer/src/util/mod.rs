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
pub mod call;
pub mod console;
pub mod files;
pub mod hash;
pub mod limits;
pub mod numbers;
pub mod random;
pub mod regular;
pub mod statistics;
pub mod threads;
