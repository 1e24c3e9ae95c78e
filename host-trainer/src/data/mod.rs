//! Images: where they come from, how they are kept, and how they reach the training loop.
//!
//! A path becomes a [`source::Source`]; [`collect`] decodes what is new into the [`cache`];
//! [`assemble`] finds copies and splits the rest; the result is a [`Dataset`], whose [`Images`]
//! lie in memory or in the cache. The bundled set ([`fashion_mnist`]) has a published [`split`].
//!
//! - [`open`]: all of that in one call, with a [`report`] of what was found
//! - [`source`], [`formats`], [`idx`], [`load`], [`memory`]: files to pixels, within a budget
//! - [`fingerprint`], [`near`], [`parts`]: which images are copies, and which part each belongs to
//! - [`fit`](mod@fit), [`shape`]: the size that the net sees
//! - [`augment`], [`batch`], [`loader`]: batches for the training loop

pub(crate) mod assemble;
pub(crate) mod augment;
pub(crate) mod batch;
pub(crate) mod cache;
pub(crate) mod collect;
pub(crate) mod dataset;
pub mod fashion_mnist;
pub(crate) mod fingerprint;
pub(crate) mod fit;
pub(crate) mod formats;
pub(crate) mod idx;
pub(crate) mod images;
pub(crate) mod load;
pub(crate) mod loader;
pub(crate) mod memory;
pub(crate) mod near;
pub(crate) mod open;
pub(crate) mod parts;
pub(crate) mod report;
pub(crate) mod shape;
pub(crate) mod source;
pub(crate) mod split;

pub(crate) use augment::Augment;
pub(crate) use batch::BatchSampler;
pub(crate) use dataset::{Dataset, Labeled};
pub(crate) use images::Images;
pub(crate) use loader::{Feed, Loader};
