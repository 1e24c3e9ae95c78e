//! Deploys a packed student on a microcontroller: capture, run, decide, report.
//!
//! # Application
//! [`app`] is the loop. It stands on traits and is tested on the host with mocks. For who writes
//! firmware of their own: this is the example to start from.
//!
//! # What the application stands on
//! [`camera`] gives frames, [`clock`] counts ticks, [`decision`] turns scores into an answer,
//! [`protocol`] is what is printed, [`stack`] how deep the stack has been. Implement
//! [`camera::Camera`] and [`clock::Clock`] for your hardware.
//!
//! # Measuring
//! [`cases`] are layers that the host sends to the program `bench`.
//!
//! # Board
//! [`boards`] is the table of boards, [`fit`] says whether a model fits one. `board` holds what is true of one chip, and all `unsafe`; it
//! exists in builds for a chip only. [`images`] is the block of test images that the example boards use as their camera.
//!
//! There is no heap: model and test images are statics in flash, the arena is a static in RAM,
//! and the build fails with advice when they do not fit the board.
#![cfg_attr(not(test), no_std)]

#[cfg(all(
    target_os = "none",
    not(any(
        feature = "mps2-an386",
        feature = "mps3-an547",
        feature = "microbit",
        feature = "virt"
    ))
))]
compile_error!(
    "no board is chosen: add --features with one of mps2-an386, mps3-an547, microbit, virt \
     (or `cargo qemu BOARD`, which does it)"
);

pub mod app;
#[cfg(target_os = "none")]
pub mod board;
pub mod boards;
pub mod camera;
pub mod cases;
pub mod clock;
pub mod decision;
pub mod fit;
pub mod images;
pub mod protocol;
pub mod stack;
