//! Painting and reading the stack's memory: see [`crate::stack`].
#![allow(unsafe_code)] // the stack's memory is nobody's reference

use core::ptr::{read_volatile, write_volatile};

use crate::stack::{PAINT, used};

/// Bytes painted at most. More than a program here uses; painting megabytes would take long.
const WINDOW: usize = 16 * 1024;

/// Bytes below the caller that are left alone: this file's own calls live there.
const MARGIN: usize = 128;

unsafe extern "C" {
    /// The stack's first word is below this address; it grows down. From the linker script.
    static mut _stack_start: u32;
    /// The end of all statics; the heap, if there were one, would begin here.
    static mut __sheap: u32;
}

/// The addresses that the stack may use: end of the statics, begin of the stack.
fn bounds() -> (usize, usize) {
    (
        (&raw mut __sheap).addr().next_multiple_of(4),
        (&raw mut _stack_start).addr(),
    )
}

/// The words of the painted window, lowest first.
fn window() -> impl ExactSizeIterator<Item = *mut u32> {
    let (floor, top) = bounds();
    let words = (top.saturating_sub(floor) / 4).min(WINDOW / 4);
    let low = (&raw mut _stack_start).wrapping_sub(words);
    (0..words).map(move |i| low.wrapping_add(i))
}

/// Paints the unused stack. Call it once, early.
#[inline(never)]
pub fn paint_stack() {
    let here = 0_u32;
    let limit = (&raw const here).addr().saturating_sub(MARGIN);
    for word in window().take_while(|word| word.addr() < limit) {
        // SAFETY: the word is aligned, as the linker's symbols are, and lies in RAM between the
        // end of the statics and the stack pointer less a margin, where no object lives.
        unsafe { write_volatile(word, PAINT) };
    }
}

/// Greatest depth of the stack in bytes since [`paint_stack`], the callers' frames included.
#[inline(never)]
pub fn stack_used() -> usize {
    // SAFETY: the word is aligned and lies in RAM; `used` stops at the first word that has been
    // written since painting, so that only memory is read which no object lives in.
    used(window().map(|word| unsafe { read_volatile(word) }))
}

/// The address that the stack grows down from.
#[cfg(all(feature = "bench", target_arch = "arm"))]
pub fn stack_top() -> usize {
    bounds().1
}

/// Bytes that the stack may grow to before it meets the statics.
pub fn stack_room() -> usize {
    let (floor, top) = bounds();
    top.saturating_sub(floor)
}
