//! Where images come from: what a path holds, and which of its files are to be read how.

mod cifar_files;
mod error;
mod file;
mod idx_pair;
mod layout;
mod open;
mod others;
mod walk;

pub use error::SourceError;
pub use file::{Reader, SourceFile};
pub use layout::layout;
pub use open::{Form, Source};
pub use others::{counts, extension};
