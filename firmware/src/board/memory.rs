//! The statics: packed model and test images in flash, the arena in RAM.
//!
//! `build.rs` chooses the files and sizes the arena, and fails when they do not fit the board.
#![allow(unsafe_code)] // hands out the arena, once

use core::sync::atomic::{AtomicBool, Ordering};

use crate::boards::Board;
use pupil_core::kernels::{OperatorSet, Operators};
use pupil_core::model::Aligned;

// static MODEL: &Aligned<[u8]>, static IMAGES: &[u8], const ARENA_LEN: usize,
// const OPERATORS: u64, pub const BOARD: Board
include!(concat!(env!("OUT_DIR"), "/memory.rs"));

/// The operators of the packed student: no other's kernels are linked.
#[derive(Debug)]
pub struct Student;

impl Operators for Student {
    const SET: OperatorSet = OperatorSet::from_bits(OPERATORS);
}

static mut ARENA: Aligned<[i8; ARENA_LEN]> = Aligned([0; ARENA_LEN]);
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The packed student.
pub fn packed_model() -> &'static Aligned<[u8]> {
    MODEL
}

/// The block of test images.
pub fn images() -> &'static [u8] {
    IMAGES
}

/// The arena, at the first call; none afterwards.
pub fn take_arena() -> Option<&'static mut [i8]> {
    // Load and store apart: not every chip swaps atomically, and no interrupt calls this.
    if TAKEN.load(Ordering::Relaxed) {
        return None;
    }
    TAKEN.store(true, Ordering::Relaxed);
    let arena = &raw mut ARENA;
    // SAFETY: TAKEN lets this line run once in the program's life, before any interrupt handler
    // or second core exists that could race for it, so no other reference to ARENA is ever made.
    Some(unsafe { &mut (*arena).0 })
}
