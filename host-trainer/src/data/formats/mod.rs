//! Readers of untrusted bytes, one format a file; nothing here panics, whatever the bytes are.
//!
//! - [`decode`]: PNG, JPEG, BMP, PGM/PPM to pixels, EXIF orientation honored
//! - [`damage`]: why an image can't be used
//! - [`claims`]: what an image's header announces, before it is believed
//! - [`jpeg`]: whether a JPEG file is whole
//! - [`cifar`]: CIFAR-10 and CIFAR-100 binary records
//! - [`manifest`]: CSV and JSON-lines lists of files and labels
//! - [`archive`]: `.tar`, `.tar.xz`, `.tar.gz`

pub(crate) mod archive;
pub(crate) mod cifar;
pub(crate) mod claims;
pub(crate) mod damage;
pub(crate) mod decode;
pub(crate) mod jpeg;
pub(crate) mod manifest;
