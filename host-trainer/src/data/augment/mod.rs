//! Augmentation of u8 images: none, weak, or strong (RandAugment and cutout).

mod blank;
mod changes;
mod filter;
mod geometry;
mod picture;
mod rand_augment;
mod tone;

pub(crate) use changes::Augment;
pub(crate) use picture::Picture;
pub(crate) use rand_augment::RandAugment;
