//! The application that runs a packed student on a microcontroller: capture, run, decide.
//!
//! It stands on two traits, [`camera::Camera`] and [`clock::Clock`], and on a sink for lines, so
//! that it is tested on the host with mocks; `board` holds what is true of one chip only. There
//! is no heap: model and arena are statics of the program.
#![cfg_attr(target_os = "none", no_std)]

pub mod app;
#[cfg(target_os = "none")]
pub mod board;
pub mod camera;
pub mod clock;
pub mod images;
pub mod protocol;
