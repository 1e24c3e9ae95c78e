//! The statics: packed model and test images in flash, the arena in RAM.
#![allow(unsafe_code)] // hands out the arena, once

use core::sync::atomic::{AtomicBool, Ordering};

use pupil_core::interpreter::Arena;

/// Bytes at an address that every kernel likes.
#[repr(align(16))]
pub struct Aligned<T: ?Sized>(pub T);

include!(concat!(env!("OUT_DIR"), "/model.rs"));

static mut ARENA: Arena<ARENA_LEN> = Arena::new();
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The arena, at the first call; none afterwards.
pub fn take_arena() -> Option<&'static mut [i8]> {
    // Load and store apart: there is one core, and no interrupt handler calls this.
    if TAKEN.load(Ordering::Relaxed) {
        return None;
    }
    TAKEN.store(true, Ordering::Relaxed);
    // SAFETY: TAKEN lets this line run once, so the reference is the only one there will be.
    Some(unsafe { &mut (*(&raw mut ARENA)).0 })
}
