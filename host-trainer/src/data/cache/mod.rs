//! The image cache: every photo is decoded once for each size that nets want.
//!
//! `images/HxWxC-FIT/*.pupc` are immutable [`Segment`]s keyed by the SHA-256 of each image's
//! content; adding photos adds a segment. `listings/*.json` remember size and times of files, so
//! that unchanged ones are not even read, `*.near` what searches for near copies found. Everything is written whole or not at all, and checked
//! by its checksum whenever it is read; what is damaged is thrown away and made anew. Deleting
//! the folder costs only time.

mod checked;
mod entry;
mod error;
mod folder;
mod listing;
mod restore;
mod segment;
mod shelf;
mod writer;

pub(crate) use error::CacheError;
pub(crate) use folder::Cache;
pub(crate) use listing::{FileRecord, Listing, Member, Stamp};
pub(crate) use segment::Segment;
pub(crate) use shelf::Shelf;
