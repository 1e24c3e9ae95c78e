//! Self-supervised pretext tasks: labels that images have by themselves.
//!
//! [`rotation`] asks how far an image was turned, [`jigsaw`] how its tiles were exchanged. Both
//! train a net's trunk on all images, labeled or not ([`Pretext`]); [`transfer()`] gives it to the net
//! that learns the real classes, all of it or the classifier alone ([`HeadOnly`]).

pub mod head_only;
pub mod jigsaw;
pub mod questions;
pub mod rotation;
pub mod task;
pub mod transfer;

pub use head_only::HeadOnly;
pub use jigsaw::JigsawNet;
pub use task::{Pretext, PretextTask};
pub use transfer::{transfer, transfer_numbers};
