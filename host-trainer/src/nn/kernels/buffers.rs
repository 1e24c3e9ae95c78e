//! Working memory that is kept between steps.
//!
//! Every step of a training needs the same buffers again; taking them from the operating system
//! anew costs a page fault for each 4 KiB and a pass of zeros. A [`Buffer`] goes back to the pool
//! when it is dropped. Its first contents are what the last user left. It begins at a cache line:
//! vectors of AVX-512 are as long as one, and those that lie on two take two reads.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

static POOL: Mutex<Vec<Vec<f32>>> = Mutex::new(Vec::new());

/// Bytes of a cache line.
const LINE: usize = 64;

/// Numbers on loan from the pool.
#[derive(Debug)]
pub struct Buffer {
    values: Vec<f32>,
    start: usize,
    len: usize,
}

impl Buffer {
    /// `len` numbers of any value; memory: 4 `len` + 64 bytes, shared with later buffers.
    pub fn take(len: usize) -> Self {
        let whole = len + LINE / size_of::<f32>();
        let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
        let fitting = pool
            .iter()
            .enumerate()
            .filter(|(_, v)| v.capacity() >= whole && v.capacity() / 2 <= whole)
            .min_by_key(|(_, v)| v.capacity())
            .map(|(i, _)| i);
        let mut values = match fitting {
            Some(i) => pool.swap_remove(i),
            None => Vec::with_capacity(whole),
        };
        drop(pool);
        values.resize(whole, 0.0);
        // What the standard library may refuse to tell costs only speed.
        let start = match values.as_ptr().align_offset(LINE) {
            at if at <= whole - len => at,
            _ => 0,
        };
        Self { values, start, len }
    }

    /// `len` zeros.
    pub fn zeros(len: usize) -> Self {
        let mut buffer = Self::take(len);
        buffer.fill(0.0);
        buffer
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let values = std::mem::take(&mut self.values);
        if values.capacity() > 0 {
            POOL.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(values);
        }
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.values[self.start..][..self.len]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.values[self.start..][..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_buffer_is_used_again() {
        // Tests run side by side: no other asks for a size near this one.
        let len = 12_345_677;
        let first = Buffer::take(len);
        let at = first.as_ptr();
        drop(first);
        let second = Buffer::take(len - 5);
        assert_eq!((second.as_ptr(), second.len()), (at, len - 5));
        assert_eq!(at.addr() % LINE, 0);
        assert!(Buffer::zeros(3).iter().all(|v| *v == 0.0));
    }
}
