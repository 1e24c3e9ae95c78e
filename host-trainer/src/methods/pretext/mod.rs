//! Self-supervised pretext tasks: labels that images have by themselves.
//!
//! [`rotation`] asks how far an image was turned, [`jigsaw`] how its tiles were exchanged. Both
//! train a net's trunk on all images, labeled or not ([`Pretext`]); [`transfer()`] gives it to the net
//! that learns the real classes, all of it or the classifier alone ([`HeadOnly`]).

pub(crate) mod head_only;
pub(crate) mod jigsaw;
pub(crate) mod questions;
pub(crate) mod rotation;
pub(crate) mod task;
pub(crate) mod transfer;

pub(crate) use head_only::HeadOnly;
pub(crate) use jigsaw::JigsawNet;
pub(crate) use task::{Pretext, PretextTask};
pub(crate) use transfer::{transfer, transfer_numbers};
