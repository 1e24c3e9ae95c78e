//! Vectors of f32 whose width is the machine's: AVX-512, AVX2 with FMA, NEON, or plain numbers
//! elsewhere.
//!
//! [`simd_fn`] compiles a function once for each of them and chooses at run time; everything that
//! it calls is `#[inline(always)]`, so that it is compiled with the chosen instructions too. The
//! choice decides the last bits of a result (fused multiply-add rounds once; AVX-512's first guess of a
//! reciprocal is the CPU maker's), nothing else does.

#![allow(unsafe_code)] // the first numbers of a vector, by a mask

use pulp::MemMask;
pub(crate) use pulp::{Arch, Simd, WithSimd};

/// Defines `fn name(arguments)` whose body may use vectors through `simd: S`.
macro_rules! simd_fn {
    ($(#[$meta:meta])* $vis:vis fn $name:ident<$life:lifetime $(, $f:ident: $bound:path)?>(
        $simd:ident: $s:ident $(, $arg:ident: $ty:ty)* $(,)?
    ) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        $vis fn $name<$life $(, $f: $bound)?>($($arg: $ty),*) $(-> $ret)? {
            struct Op<$life $(, $f: $bound)?> {
                $($arg: $ty,)*
                life: core::marker::PhantomData<(&$life (), $($f)?)>,
            }
            impl<$life $(, $f: $bound)?> $crate::nn::kernels::simd::WithSimd for Op<$life $(, $f)?> {
                type Output = simd_fn!(@output $($ret)?);
                #[inline(always)]
                fn with_simd<$s: $crate::nn::kernels::simd::Simd>(self, $simd: $s) -> Self::Output {
                    let Self { $($arg,)* life: _ } = self;
                    $body
                }
            }
            let life = core::marker::PhantomData;
            $crate::nn::kernels::simd::arch().dispatch(Op::<$life $(, $f)?> { $($arg,)* life })
        }
    };
    (@output) => { () };
    (@output $ret:ty) => { $ret };
}
pub(crate) use simd_fn;

/// The widest vectors of this machine.
#[inline]
pub(crate) fn arch() -> Arch {
    #[cfg(test)]
    if let Some(arch) = super::testing::chosen() {
        return arch;
    }
    Arch::new()
}

/// Numbers of one vector.
#[inline(always)]
pub(crate) fn lanes<S: Simd>() -> usize {
    S::F32_LANES
}

/// The first vector of `slice`; missing numbers are 0 unless `FULL` promises that all are there.
#[inline(always)]
pub(crate) fn load<S: Simd, const FULL: bool>(simd: S, slice: &[f32]) -> S::f32s {
    if FULL {
        S::as_simd_f32s(slice).0[0]
    } else {
        // SAFETY: the mask's numbers lie within the slice.
        unsafe { simd.mask_load_ptr_f32s(mask(simd, slice.len()), slice.as_ptr()) }
    }
}

/// Writes the first vector of `slice`, or as much of it as there is unless `FULL`.
#[inline(always)]
pub(crate) fn store<S: Simd, const FULL: bool>(simd: S, slice: &mut [f32], value: S::f32s) {
    if FULL {
        S::as_mut_simd_f32s(slice).0[0] = value;
    } else {
        let mask = mask(simd, slice.len());
        // SAFETY: the mask's numbers lie within the slice.
        unsafe { simd.mask_store_ptr_f32s(mask, slice.as_mut_ptr(), value) }
    }
}

/// The first `len` numbers of a vector, or all of it. Without pulp's own choice of a function for
/// each length, which would be a call in every loop with AVX-512.
#[inline(always)]
fn mask<S: Simd>(simd: S, len: usize) -> MemMask<S::m32s> {
    let len = len.min(lanes::<S>()) as u32;
    MemMask::new(simd.mask_between_m32s(0, len).mask())
}

/// Calls `$body` for each vector of `$c` channels with its start `$at` and its width `$width`;
/// `$full` is a constant: whether the vector is a whole one.
macro_rules! for_vectors {
    ($s:ty, $c:expr, |$at:ident, $width:ident, $full:ident| $body:block) => {{
        let c: usize = $c;
        let step = $crate::nn::kernels::simd::lanes::<$s>();
        let mut $at = 0;
        while $at + step <= c {
            #[allow(non_upper_case_globals)]
            const $full: bool = true;
            #[allow(unused_variables)]
            let $width = step;
            $body
            $at += step;
        }
        if $at < c {
            #[allow(non_upper_case_globals)]
            const $full: bool = false;
            #[allow(unused_variables)]
            let $width = c - $at;
            $body
        }
    }};
}
pub(crate) use for_vectors;

/// Coefficients of a degree-5 minimax polynomial of 2^t within half a unit, the highest power first.
const EXP2: [f32; 6] = [
    1.327_647_2e-3,
    9.675_541e-3,
    5.550_713e-2,
    2.402_212e-1,
    6.931_469_4e-1,
    1.000_000_1,
];

/// 2^t for t in [-126, 126], clamped there: the polynomial of the part within half a unit;
/// relative error below 2e-7.
#[inline(always)]
fn exp2<S: Simd>(simd: S, t: S::f32s) -> S::f32s {
    // 1.5 * 2^23: adding it rounds to an integer, which stands in the low bits.
    const MAGIC: f32 = 12_582_912.0;
    let k = |v| simd.splat_f32s(v);
    let t = simd.min_f32s(simd.max_f32s(t, k(-126.0)), k(126.0));
    let shifted = simd.add_f32s(t, k(MAGIC));
    let f = simd.sub_f32s(t, simd.sub_f32s(shifted, k(MAGIC)));
    let mut p = k(EXP2[0]);
    for coefficient in &EXP2[1..] {
        p = simd.mul_add_e_f32s(p, f, k(*coefficient));
    }
    let bits = simd.transmute_u32s_f32s(shifted);
    let exponent = simd.wrapping_dyn_shl_u32s(bits, simd.splat_u32s(23));
    simd.transmute_f32s_u32s(simd.add_u32s(simd.transmute_u32s_f32s(p), exponent))
}

/// The logistic function; relative error below (3 + |x|) 1e-7 down to x = -87.
#[inline(always)]
pub(crate) fn sigmoid<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    #[cfg(target_arch = "x86_64")]
    if let Some(v4) = (&simd as &dyn core::any::Any).downcast_ref::<pulp::x86::V4>() {
        return avx512::sigmoid::<S>(*v4, x);
    }
    let one = simd.splat_f32s(1.0);
    let t = simd.mul_f32s(x, simd.splat_f32s(-core::f32::consts::LOG2_E));
    simd.div_f32s(one, simd.add_f32s(one, exp2(simd, t)))
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    //! AVX-512 rounds, scales by powers of two and guesses reciprocals in one instruction each.

    use core::arch::x86_64::{__m512, _MM_FROUND_NO_EXC, _MM_FROUND_TO_NEAREST_INT};

    use super::{EXP2, Simd};
    use pulp::bytemuck::cast;

    /// The logistic function. The divider would take 16 cycles for 16 numbers.
    #[inline(always)]
    pub(super) fn sigmoid<S: Simd>(simd: pulp::x86::V4, x: S::f32s) -> S::f32s {
        const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
        let f = simd.avx512f;
        let k = |v| f._mm512_set1_ps(v);
        let t = f._mm512_mul_ps(cast::<S::f32s, __m512>(x), k(-core::f32::consts::LOG2_E));
        let t = f._mm512_min_ps(f._mm512_max_ps(t, k(-126.0)), k(126.0));
        let whole = f._mm512_roundscale_ps::<NEAREST>(t);
        let part = f._mm512_sub_ps(t, whole);
        let mut p = k(EXP2[0]);
        for coefficient in &EXP2[1..] {
            p = f._mm512_fmadd_ps(p, part, k(*coefficient));
        }
        let below = f._mm512_add_ps(f._mm512_scalef_ps(p, whole), k(1.0));
        // Within 2^-14; a step of Newton's iteration squares the error.
        let guess = f._mm512_rcp14_ps(below);
        let error = f._mm512_fnmadd_ps(below, guess, k(1.0));
        cast(f._mm512_fmadd_ps(guess, error, guess))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::kernels::testing::with_every_vector;

    simd_fn! {
        fn map<'a>(simd: S, x: &'a mut [f32]) {
            let count = x.len();
            for_vectors!(S, count, |at, width, FULL| {
                let v = load::<S, FULL>(simd, &x[at..at + width]);
                store::<S, FULL>(simd, &mut x[at..at + width], sigmoid(simd, v));
            });
        }
    }

    #[test]
    fn sigmoid_is_within_its_bound() {
        let inputs: Vec<f32> = (0..12_691).map(|i| -86.9 + 0.0137 * i as f32).collect();
        with_every_vector(|| {
            let mut values = inputs.clone();
            map(&mut values);
            for (x, v) in inputs.iter().zip(&values) {
                let exact = 1.0 / (1.0 + (-f64::from(*x)).exp());
                let error = ((f64::from(*v) - exact) / exact).abs();
                assert!(error < (3.0 + f64::from(x.abs())) * 1e-7, "{x}: {error}");
            }
        });
    }

    #[test]
    fn sigmoid_saturates_without_nan() {
        with_every_vector(|| {
            let mut x = [-1e30, 1e30, 0.0];
            map(&mut x);
            assert!(x[0] < 1.2e-38 && x[1] == 1.0 && x[2] == 0.5, "{x:?}");
        });
    }
}
