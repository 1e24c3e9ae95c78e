//! Images: readers, the published split, augmentation, batches.

pub mod augment;
pub mod batch;
pub mod dataset;
pub mod fashion_mnist;
pub mod idx;
pub mod split;

pub use augment::Augment;
pub use batch::BatchSampler;
pub use dataset::{Dataset, Images, Labeled};
