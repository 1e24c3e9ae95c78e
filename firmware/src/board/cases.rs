//! Where the program `bench` works: memory for a case and for its outputs.
#![allow(unsafe_code)] // hands out statics, once

use core::sync::atomic::{AtomicBool, Ordering};

/// Bytes of the greatest case.
const CASE_LEN: usize = 1 << 20;

/// Bytes of the greatest arena.
const ARENA_LEN: usize = 1 << 20;

/// A case's bytes and an arena, aligned for every kernel.
#[repr(C, align(16))]
#[derive(Debug)]
pub struct Workplace {
    /// The case.
    pub case: [u8; CASE_LEN],
    /// Outputs and scratch memory.
    pub arena: [i8; ARENA_LEN],
}

static mut WORKPLACE: Workplace = Workplace {
    case: [0; CASE_LEN],
    arena: [0; ARENA_LEN],
};
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The workplace, at the first call; none afterwards.
pub fn take_workplace() -> Option<&'static mut Workplace> {
    if TAKEN.load(Ordering::Relaxed) {
        return None;
    }
    TAKEN.store(true, Ordering::Relaxed);
    let place = &raw mut WORKPLACE;
    // SAFETY: TAKEN lets this line run once in the program's life, before any interrupt handler
    // or second core exists that could race for it, so no other reference is ever made.
    Some(unsafe { &mut *place })
}
