#![no_std]
//! x
/// s
pub mod shape;
