//! Reads that are checked once for many, and their writes: checked one by one, a loop over a small
//! window spends more on the checks than on the sums.

#![allow(unsafe_code)] // the callers' assertions cover the reads

use crate::nn::kernels::simd::{Simd, load, store};

/// Writes N vectors, `stride` numbers apart.
#[inline(always)]
pub(super) fn put<S: Simd, const N: usize, const FULL: bool>(
    simd: S,
    sums: &[S::f32s; N],
    y: &mut [f32],
    stride: usize,
    lanes: usize,
) {
    for (n, sum) in sums.iter().enumerate() {
        store::<S, FULL>(simd, &mut y[n * stride..n * stride + lanes], *sum);
    }
}

/// The vector, or its first `lanes` numbers unless `FULL`, from `at` on.
///
/// # Safety
///
/// `at + lanes` is at most the length of x, and `lanes` a vector's if `FULL`.
#[inline(always)]
pub(super) unsafe fn load_at<S: Simd, const FULL: bool>(
    simd: S,
    x: &[f32],
    at: usize,
    lanes: usize,
) -> S::f32s {
    debug_assert!(at + lanes <= x.len());
    if FULL {
        // SAFETY: the caller promises that a whole vector lies there; f32s are numbers without
        // padding, and the read asks for no alignment.
        unsafe { x.as_ptr().add(at).cast::<S::f32s>().read_unaligned() }
    } else {
        // SAFETY: the caller promises that the range lies within x.
        load::<S, false>(simd, unsafe { x.get_unchecked(at..at + lanes) })
    }
}
