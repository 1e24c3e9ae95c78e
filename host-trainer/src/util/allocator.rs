//! The program's allocator: mimalloc, and a last word where even it has no memory.
//!
//! What a file or a set may ask for is checked against a budget before it is allocated. Where
//! memory ends all the same, Rust would abort without advice. `unsafe` is here because an
//! allocator is an unsafe trait; nothing here touches memory itself.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout};

use mimalloc::MiMalloc;

const ADVICE: &str = "error: out of memory
  why:   the machine, a container or `ulimit -v` leaves no more
  do:    allow the program more memory, or less work at once: RAYON_NUM_THREADS=1, --jobs 1, smaller nets or batches;
         what was done is kept: the same command continues from there
";

/// mimalloc: freed tensors stay with the process, and the training loop allocates the same
/// sizes each step. Ends the process with advice instead of giving nothing.
pub struct Advising;

// SAFETY: every call goes to mimalloc with the arguments it came with, and what mimalloc gives is
// given on, so the contract of `GlobalAlloc` is mimalloc's. Where that is null, which callers may
// be given, the process ends.
unsafe impl GlobalAlloc for Advising {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's layout, which it vouches for.
        there(unsafe { MiMalloc.alloc(layout) })
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's layout, which it vouches for.
        there(unsafe { MiMalloc.alloc_zeroed(layout) })
    }

    #[inline]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller has the pointer from this allocator, so from mimalloc.
        unsafe { MiMalloc.dealloc(pointer, layout) }
    }

    #[inline]
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as for `dealloc`; the caller vouches for the new size.
        there(unsafe { MiMalloc.realloc(pointer, layout, size) })
    }
}

#[inline]
fn there(pointer: *mut u8) -> *mut u8 {
    if pointer.is_null() {
        advise();
    }
    pointer
}

/// Ends the process; nothing here allocates, or takes a lock that the caller may hold.
#[cold]
fn advise() -> ! {
    #[cfg(unix)]
    // SAFETY: the pointer and length are those of a string that lives for ever.
    unsafe {
        let _ = libc::write(2, ADVICE.as_ptr().cast(), ADVICE.len());
        libc::_exit(2)
    }
    #[cfg(not(unix))]
    {
        let _ = std::io::Write::write_all(&mut std::io::stderr(), ADVICE.as_bytes());
        std::process::exit(2)
    }
}
