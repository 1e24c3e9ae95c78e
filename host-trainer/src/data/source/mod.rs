//! Where images come from: what a path holds, and which of its files are to be read how.

mod cifar_files;
mod error;
mod file;
mod idx_pair;
mod layout;
mod open;
mod others;
mod walk;

pub(crate) use error::SourceError;
pub(crate) use file::{Reader, SourceFile};
pub(crate) use layout::layout;
pub(crate) use open::{Form, Source};
pub(crate) use others::{counts, extension};
