//! Reads `run.toml`: what is missing takes its default, what is wrong is reported all at once,
//! each with its line. [`read`] knows texts and keys, [`ranges`] the values.

pub mod ranges;
pub mod read;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub use read::parse;
pub use read::{Overrides, load};
