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

pub mod assemble;
pub mod augment;
pub mod batch;
pub mod cache;
pub mod collect;
pub mod dataset;
pub mod fashion_mnist;
pub mod fingerprint;
pub mod fit;
pub mod formats;
pub mod idx;
pub mod images;
pub mod load;
pub mod loader;
pub mod memory;
pub mod near;
pub mod open;
pub mod parts;
pub mod report;
pub mod shape;
pub mod source;
pub mod split;

pub use augment::Augment;
pub use batch::BatchSampler;
pub use dataset::{Dataset, Labeled};
pub use images::Images;
pub use loader::{Feed, Loader};
