//! Four bytes at a time in one register: the few instructions that loops in Rust need.
//!
//! Each is one instruction on a chip with the DSP extension and the same function in plain Rust
//! elsewhere. Halves and bytes count from the low end.

#[cfg(arm_dsp)]
pub use self::chip::*;
#[cfg(not(arm_dsp))]
pub use self::plain::*;

pub use crate::kernels::arch::portable::lanes::word;

/// The four values of a word.
#[inline(always)]
pub fn bytes(word: u32) -> [i8; 4] {
    word.to_le_bytes().map(|b| b as i8)
}

#[cfg(arm_dsp)]
mod chip {
    #![allow(unsafe_code)]

    use core::arch::asm;

    /// SXTAB16: bytes 0 and 2 of `x`, signed, added to the halves of `sums`.
    #[inline(always)]
    pub fn add_even(sums: u32, x: u32) -> u32 {
        let out;
        // SAFETY: registers only, no flags.
        unsafe {
            asm!(dsp!(), "sxtab16 {o}, {s}, {x}", o = out(reg) out, s = in(reg) sums, x = in(reg) x,
                options(pure, nomem, nostack, preserves_flags));
        }
        out
    }

    /// SXTAB16 with a rotation: bytes 1 and 3 of `x`, signed, added to the halves of `sums`.
    #[inline(always)]
    pub fn add_odd(sums: u32, x: u32) -> u32 {
        let out;
        // SAFETY: registers only, no flags.
        unsafe {
            asm!(dsp!(), "sxtab16 {o}, {s}, {x}, ror #8", o = out(reg) out, s = in(reg) sums,
                x = in(reg) x, options(pure, nomem, nostack, preserves_flags));
        }
        out
    }

    /// SSUB8 and SEL: the greater one of each byte, signed.
    #[inline(always)]
    pub fn greatest(a: u32, b: u32) -> u32 {
        let out;
        // SAFETY: registers only; the GE flags are clobbered with the others.
        unsafe {
            asm!(dsp!(), "ssub8 {t}, {a}, {b}", "sel {o}, {a}, {b}", t = out(reg) _, o = lateout(reg) out,
                a = in(reg) a, b = in(reg) b, options(pure, nomem, nostack));
        }
        out
    }

    /// UQSUB8, UQADD8, UQSUB8: clamps unsigned bytes; see `clamp.rs`.
    #[inline(always)]
    pub fn clamp_bytes(x: u32, below: u32, both: u32, above: u32) -> u32 {
        let mut x = x;
        // SAFETY: registers only, no flags.
        unsafe {
            asm!(dsp!(), "uqsub8 {x}, {x}, {below}", "uqadd8 {x}, {x}, {both}", "uqsub8 {x}, {x}, {above}",
                x = inout(reg) x, below = in(reg) below, both = in(reg) both, above = in(reg) above,
                options(pure, nomem, nostack, preserves_flags));
        }
        x
    }
}

#[cfg(not(arm_dsp))]
mod plain {
    use crate::kernels::arch::portable::lanes::{Lanes, Plain};

    /// SXTAB16.
    pub fn add_even(sums: u32, x: u32) -> u32 {
        Plain::add_even(sums, x)
    }

    /// SXTAB16 with a rotation.
    pub fn add_odd(sums: u32, x: u32) -> u32 {
        Plain::add_odd(sums, x)
    }

    /// SSUB8 and SEL: the greater one of each byte, signed.
    pub fn greatest(a: u32, b: u32) -> u32 {
        let (a, b) = (super::bytes(a), super::bytes(b));
        super::word(core::array::from_fn(|i| a[i].max(b[i])))
    }

    /// UQSUB8, UQADD8, UQSUB8: clamps unsigned bytes; see `clamp.rs`.
    pub fn clamp_bytes(x: u32, below: u32, both: u32, above: u32) -> u32 {
        let [x, below, both, above] = [x, below, both, above].map(u32::to_le_bytes);
        let byte = |i: usize| {
            let raised = x[i].saturating_sub(below[i]).saturating_add(both[i]);
            raised.saturating_sub(above[i])
        };
        u32::from_le_bytes(core::array::from_fn(byte))
    }
}
