//! Numbers for tests, and other machines' vectors.

use std::cell::Cell;

use super::simd::Arch;

thread_local! {
    static ARCH: Cell<Option<Arch>> = const { Cell::new(None) };
}

/// Calls `f` with every kind of vectors that this machine has, plain numbers first; only kernels
/// that `f` calls on its own thread follow.
pub(crate) fn with_every_vector(f: impl Fn()) {
    for arch in kinds() {
        ARCH.set(Some(arch));
        f();
    }
    ARCH.set(None);
}

/// The vectors that a test has chosen for this thread.
pub(crate) fn chosen() -> Option<Arch> {
    ARCH.get()
}

#[cfg(target_arch = "x86_64")]
fn kinds() -> Vec<Arch> {
    let v3 = pulp::x86::V3::try_new().map(Arch::V3);
    let v4 = pulp::x86::V4::try_new().map(Arch::V4);
    [Some(Arch::Scalar), v3, v4].into_iter().flatten().collect()
}

#[cfg(not(target_arch = "x86_64"))]
fn kinds() -> Vec<Arch> {
    vec![Arch::Scalar, Arch::new()]
}

/// `count` numbers in (-1, 1) that `seed` fixes.
pub(crate) fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1u32 << 23) as f32 - 1.0
        })
        .collect()
}
