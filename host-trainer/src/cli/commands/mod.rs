//! The commands, one a file; those of a run and its stages are [`crate::run::pipeline`].
//!
//! - [`new`], [`data`]: a project for the user's own images, and what images are like
//! - [`predict`], [`eval`]: a packed student asked, and measured
//! - [`zoo`], [`methods`], [`recipes`]: the built-in nets, and the kinds of `compare`
//! - [`pages`]: completions and the manual

pub(crate) mod data;
pub(crate) mod eval;
pub(crate) mod methods;
pub(crate) mod new;
pub(crate) mod pages;
pub(crate) mod predict;
pub(crate) mod recipes;
pub(crate) mod zoo;
