//! Augmentation of u8 images: none, weak, or strong (RandAugment and cutout).

mod blank;
mod changes;
mod filter;
mod geometry;
mod picture;
mod rand_augment;
mod tone;

pub use changes::Augment;
pub use picture::Picture;
pub use rand_augment::RandAugment;
