//! The commands, one a file; those of a run and its stages are [`crate::run::pipeline`].
//!
//! - [`new`], [`data`]: a project for the user's own images, and what images are like
//! - [`predict`], [`eval`]: a packed student asked, and measured
//! - [`zoo`], [`methods`], [`recipes`]: the built-in nets, and the kinds of `compare`
//! - [`pages`]: completions and the manual

pub mod data;
pub mod eval;
pub mod methods;
pub mod new;
pub mod pages;
pub mod predict;
pub mod recipes;
pub mod zoo;
