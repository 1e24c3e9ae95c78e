//! How deep the stack has been: paint it, run, look how far the paint is gone.
#![allow(unsafe_code)] // the stack's memory belongs to nobody's reference

use core::ptr::{read_volatile, write_volatile};

const PAINT: u32 = 0x5afe_57ac;

/// Words painted at most: more than any program here uses, less than the smallest RAM.
const MOST: usize = 3 * 1024;

/// Words right below the caller that are left alone: `paint` itself runs there.
const MARGIN: usize = 32;

unsafe extern "C" {
    /// Where the stack begins, from the linker; it grows down from here.
    static mut _stack_start: u32;
}

/// Lowest word that may be painted: above all statics.
#[cfg(target_arch = "arm")]
fn floor() -> *mut u32 {
    unsafe extern "C" {
        /// End of the statics, from cortex-m-rt's linker script.
        static mut __sheap: u32;
    }
    &raw mut __sheap
}

/// Lowest word that may be painted: above all statics.
#[cfg(target_arch = "riscv32")]
fn floor() -> *mut u32 {
    unsafe extern "C" {
        /// End of the statics, from riscv-rt's linker script.
        static mut __sheap: u32;
    }
    &raw mut __sheap
}

/// The words from the lowest painted one up to the stack's begin.
fn window() -> (*mut u32, usize) {
    let top = &raw mut _stack_start;
    let words = (top as usize).saturating_sub(floor() as usize) / 4;
    let words = words.min(MOST);
    (top.wrapping_sub(words), words)
}

/// Fills the unused stack with a pattern. Call once, early.
#[inline(never)]
pub fn paint() {
    let here = 0u32;
    let current = &raw const here as usize;
    let (low, words) = window();
    for i in 0..words {
        let word = low.wrapping_add(i);
        if word as usize + 4 * MARGIN >= current {
            break;
        }
        // SAFETY: `word` lies between the end of the statics and the current stack pointer less
        // a margin, memory that no object lives in; it is aligned, since the linker's symbols are.
        unsafe { write_volatile(word, PAINT) };
    }
}

/// Greatest depth in bytes since [`paint`].
#[inline(never)]
pub fn high_water() -> usize {
    let (low, words) = window();
    for i in 0..words {
        // SAFETY: aligned and inside RAM, between the end of the statics and the stack's begin;
        // reading memory that others may own is harmless, the value is only compared.
        if unsafe { read_volatile(low.wrapping_add(i)) } != PAINT {
            return 4 * (words - i);
        }
    }
    0
}
