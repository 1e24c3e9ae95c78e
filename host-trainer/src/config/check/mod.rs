//! Reads `run.toml`: what is missing takes its default, what is wrong is reported all at once,
//! each with its line. [`read`] knows texts and keys, [`ranges`] the values.

pub(crate) mod ranges;
pub(crate) mod read;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use read::parse;
pub(crate) use read::{Overrides, load};
