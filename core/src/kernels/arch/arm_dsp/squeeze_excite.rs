//! Squeeze-excite multiply: a map times one number a channel.
//!
//! The gates become int16 in the scratch, in the order in which SXTAB16 unpacks four values:
//! (g0, g2), (g1, g3). SXTAB16 extends the map's bytes and subtracts their zero point at once. Where
//! the number of channels is no multiple of four, the gates of two or four pixels follow one
//! another, and the map is read as one row.
//!
//! *Fast*, where the output's zero point is its lower clamp of −128: as for depthwise layers both
//! roundings are one floor. Gates are multiplied by 2^(11−e); SMMLA with c = 2^9 + 2^(9−e) +
//! (z + 128) 2^10 and USAT with a shift of 10 do all of it: 21 instructions for four values.
//!
//! *Away*, any zero point: gates doubled, SMMLAR with c = 2^(e−1) + (z + 128) 2^e, less one where
//! the product is negative, a shift by e, two values saturated at once: 27 for four values.

use super::clamp::clamp;
use crate::kernels::arch::operands::Maps;
#[cfg(arm_dsp)]
use crate::kernels::arch::operands::Operands;
use crate::kernels::{OperatorSet as Set, Operators};
use crate::op::MulParams;

/// Bits that the last shift of the fast form drops.
const FAST_SHIFT: i32 = 10;

/// Right shifts for which scaled gates fit 16 bits and the addend is whole.
const FAST_SHIFTS: core::ops::RangeInclusive<i32> = 4..=9;

/// Right shifts for which every value fits its half before saturation, and the addend 32 bits.
const SHIFTS: core::ops::RangeInclusive<i32> = 2..=22;

/// Pixels whose gates follow one another.
const fn pixels_a_row(c: usize) -> usize {
    match c % 4 {
        0 => 1,
        2 => 2,
        _ => 4,
    }
}

/// Words of scratch for the gates of `c` channels.
pub const fn scratch_words(c: usize) -> usize {
    c * pixels_a_row(c) / 2
}

/// Whether a multiplication's form is the fast one; none where it has no form here.
pub fn is_fast(p: &MulParams) -> Option<bool> {
    Form::of(p).map(|form| form.fast)
}

/// How four values are made; see above.
#[derive(Clone, Copy, Debug)]
struct Form {
    fast: bool,
    /// What gates are shifted left by.
    left: i32,
    m: i32,
    c: i32,
    e: i32,
    /// Minus the map's zero point.
    offset: i32,
}

impl Form {
    /// None where the multiplier's shift is beyond both forms.
    fn of(p: &MulParams) -> Option<Self> {
        // A shift that has no opposite is in neither form's range.
        let (m, mut e) = (p.multiplier.mantissa, p.multiplier.shift.wrapping_neg());
        if m < 0 {
            return None;
        }
        if m == 0 {
            e = *FAST_SHIFTS.start();
        }
        let z = p.output_zero_point + 128;
        let offset = -p.zero_points[0];
        let floor = z == 0 && p.min <= -128;
        if floor && FAST_SHIFTS.contains(&e) {
            let half = 1 << (FAST_SHIFT - 1);
            return Some(Self {
                fast: true,
                left: FAST_SHIFT + 1 - e,
                m,
                c: half + (half >> e) + (z << FAST_SHIFT),
                e,
                offset,
            });
        }
        SHIFTS.contains(&e).then(|| Self {
            fast: false,
            left: 1,
            m,
            c: (1 << (e - 1)) + (z << e),
            e,
            offset,
        })
    }

    #[inline(always)]
    fn one(&self, x: i8, gate: i32) -> i8 {
        let product = (i32::from(x) + self.offset) * gate;
        let wide = i64::from(product) * i64::from(self.m);
        let lifted = if self.fast {
            ((wide >> 32) as i32 + self.c) >> FAST_SHIFT
        } else {
            (((wide + (1 << 31)) >> 32) as i32 + self.c + (product >> 31)) >> self.e
        };
        (lifted.clamp(0, 255) as u8 ^ 0x80) as i8
    }
}

/// `output[h, w, c] = map[h, w, c] * gate[c]`. False, with the output unchanged, where the
/// multiplier's shift is beyond the fast forms or a slice is too short.
#[inline(never)]
pub fn mul<O: Operators>(
    p: &MulParams,
    maps: &mut Maps<'_>,
    gate: &[i8],
    scratch: &mut [u32],
) -> bool {
    let (Some(form), Some(gate)) = (Form::of(p), gate.get(..p.ch)) else {
        return false;
    };
    let odd = O::SET.has(Set::MUL_ODD) && !p.ch.is_multiple_of(4);
    let row = if odd { p.ch * pixels_a_row(p.ch) } else { p.ch };
    let (Some(gates), true) = (scratch.get_mut(..row / 2), row > 0) else {
        return false;
    };
    let centered = |i: usize| {
        let g = gate.get(i).copied().unwrap_or(0);
        (i32::from(g) - p.zero_points[1]) << form.left
    };
    let pack = |g: [i32; 4]| {
        let pair = |a: i32, b: i32| a as u32 & 0xffff | (b as u32) << 16;
        [pair(g[0], g[2]), pair(g[1], g[3])]
    };
    let fours = gates.as_chunks_mut::<2>().0.iter_mut();
    if odd {
        for (i, words) in fours.enumerate() {
            *words = pack(core::array::from_fn(|k| centered((4 * i + k) % p.ch)));
        }
    } else {
        for (words, gate) in fours.zip(gate.as_chunks().0) {
            *words = pack(gate.map(|g| (i32::from(g) - p.zero_points[1]) << form.left));
        }
    }
    // Whole pixels only.
    let len = maps.input().len().min(maps.output().len());
    let whole = len - len % p.ch;
    let done = ops::rows::<O>(&form, maps, whole - whole % row, gates);
    if odd {
        // The last pixels are fewer than the gates are for.
        for i in done..whole {
            let x = maps.input().get(i).copied().unwrap_or(0);
            if let Some(y) = maps.output().get_mut(i) {
                *y = form.one(x, centered(i % p.ch));
            }
        }
    }
    if O::SET.has(Set::MUL_CLAMP) {
        let act = (p.min.max(-128) as i8, p.max.min(127) as i8);
        clamp(act, maps.output().get_mut(..whole).unwrap_or(&mut []));
    }
    true
}

/// [`mul`] on a chip; [`run`](super::run::run) has checked the places.
#[cfg(arm_dsp)]
pub fn mul_places<O: Operators>(p: &MulParams, places: &mut Operands<'_>) -> bool {
    let scratch = super::words::aligned(places.scratch).unwrap_or(&mut []);
    mul::<O>(p, &mut places.maps, places.other, scratch)
}

#[cfg(not(arm_dsp))]
mod ops {
    use super::{Form, Maps};

    #[allow(clippy::extra_unused_type_parameters)] // as the chip's
    pub fn rows<O>(form: &Form, maps: &mut Maps<'_>, len: usize, gates: &[u32]) -> usize {
        let gates = gates.as_chunks::<2>().0.iter().cycle();
        for (i, gates) in (0..len).step_by(4).zip(gates) {
            if let Some(x) = maps.input().get(i..).and_then(|x| x.first_chunk()) {
                let y = four(form, *x, *gates);
                if let Some(place) = maps.output().get_mut(i..i + 4) {
                    place.copy_from_slice(&y);
                }
            }
        }
        len
    }

    fn four(form: &Form, x: [i8; 4], gates: [u32; 2]) -> [i8; 4] {
        let gate = |i: usize| i32::from((gates[i % 2] >> (16 * (i / 2))) as i16);
        core::array::from_fn(|i| form.one(x[i], gate(i)))
    }
}

#[cfg(arm_dsp)]
mod ops {
    //! Registers: r0 map, r1 output, r2 gates, r3 end of the gates, r4 m, r5 c, r6 e,
    //! r7 minus the zero point, r8 r9 gates and then addends, r10–r12 and lr values: 14.
    #![allow(unsafe_code)]

    use super::{Form, Maps, Operators, Set};
    use core::arch::global_asm;

    global_asm!(
        dsp!(),
        r#"
    .syntax unified
    .macro PMUL_PRODUCTS
    ldr    r11, [r0], #4
    ldrd   r8, r9, [r2], #8
    sxtab16 r10, r7, r11
    sxtab16 r11, r7, r11, ror #8
    smultt r12, r10, r8
    smulbb r10, r10, r8
    smultt lr, r11, r9
    smulbb r11, r11, r9
    .endm
    .macro PMUL_FAST
    PMUL_PRODUCTS
    smmla  r10, r10, r4, r5
    smmla  r11, r11, r4, r5
    smmla  r12, r12, r4, r5
    smmla  lr, lr, r4, r5
    usat   r10, #8, r10, asr #10
    usat   r11, #8, r11, asr #10
    usat   r12, #8, r12, asr #10
    usat   lr, #8, lr, asr #10
    orr    r10, r10, r11, lsl #8
    orr    r12, r12, lr, lsl #8
    orr    r10, r10, r12, lsl #16
    eor    r10, r10, #0x80808080
    str    r10, [r1], #4
    .endm
    .macro PMUL_AWAY
    PMUL_PRODUCTS
    add    r8, r5, r10, asr #31
    add    r9, r5, r11, asr #31
    smmlar r10, r10, r4, r8
    smmlar r11, r11, r4, r9
    add    r8, r5, r12, asr #31
    add    r9, r5, lr, asr #31
    smmlar r12, r12, r4, r8
    smmlar lr, lr, r4, r9
    asr    r10, r10, r6
    asr    r11, r11, r6
    asr    r12, r12, r6
    asr    lr, lr, r6
    pkhbt  r10, r10, r12, lsl #16
    pkhbt  r11, r11, lr, lsl #16
    usat16 r10, #8, r10
    usat16 r11, #8, r11
    orr    r10, r10, r11, lsl #8
    eor    r10, r10, #0x80808080
    str    r10, [r1], #4
    .endm
    @ r0 map, r1 output, r2 gates, r3 -> end of the gates, m, c, e, minus zero point, end of the
    @ map. Whole rows of gates; a row of an odd number of fours begins at the second half.
    .macro PMUL name, four
    .section .text.\name, "ax", %progbits
    .global \name
    .thumb_func
    \name:
    push   {{r2, r4-r11, lr}}
    ldm    r3, {{r3, r4, r5, r6, r7, r8}}
    sub    r9, r3, r2
    lsls   r9, r9, #28
    push   {{r8, r9}}
1:  ldr    r8, [sp, #4]
    cmp    r8, #0
    bne    3f
2:  \four
3:  \four
    cmp    r2, r3
    bne    2b
    ldr    r8, [sp]
    ldr    r2, [sp, #8]
    cmp    r0, r8
    bne    1b
    pop    {{r1, r2, r3, r4-r11, pc}}
    .endm
    PMUL pupil_m4_mul_fast, PMUL_FAST
    PMUL pupil_m4_mul, PMUL_AWAY
    .text
    "#
    );

    #[repr(C)]
    struct Frame {
        gates_end: *const u32,
        m: i32,
        c: i32,
        e: i32,
        /// In both halves.
        offset: u32,
        end: *const i8,
    }

    unsafe extern "C" {
        fn pupil_m4_mul_fast(x: *const i8, y: *mut i8, gates: *const u32, frame: *const Frame);
        fn pupil_m4_mul(x: *const i8, y: *mut i8, gates: *const u32, frame: *const Frame);
    }

    /// Multiplies `len` values, whole rows of gates that both maps have; how many values.
    #[inline(always)]
    pub fn rows<O: Operators>(
        form: &Form,
        maps: &mut Maps<'_>,
        len: usize,
        gates: &[u32],
    ) -> usize {
        if len > 0 {
            let (x, y) = maps.places();
            let ends = gates.as_ptr_range();
            let frame = Frame {
                gates_end: ends.end,
                m: form.m,
                c: form.c,
                e: form.e,
                offset: (form.offset as u32 & 0xffff) * 0x1_0001,
                end: x.wrapping_add(len),
            };
            let fast = O::SET.has(Set::MUL_FAST) && (form.fast || !O::SET.has(Set::MUL_AWAY));
            let code = if fast {
                pupil_m4_mul_fast
            } else {
                pupil_m4_mul
            };
            // SAFETY: `len` values, a multiple of the gates', are read and written; both maps hold
            // them, and each four is read before it is written. Gates are read from their first to
            // their last pair. The callee keeps the C ABI.
            unsafe { code(x, y, ends.start, &frame) }
        }
        len
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{Every, reference};
    use crate::op::quant::Multiplier;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    fn check(p: &MulParams, map: &[i8], gate: &[i8]) -> bool {
        let act = (p.min as i8, p.max as i8);
        let points = [p.zero_points[0], p.zero_points[1], p.output_zero_point];
        let expected: Vec<i8> = map
            .iter()
            .enumerate()
            .map(|(i, x)| reference::mul((*x, gate[i % p.ch]), points, p.multiplier, act))
            .collect();
        let mut scratch = vec![0xdead_beefu32; scratch_words(p.ch)];
        let mut y = vec![0x55; map.len()];
        if !mul::<Every>(p, &mut Maps::apart(map, &mut y), gate, &mut scratch) {
            return false;
        }
        assert_eq!(y, expected, "{p:?}");
        let mut place = map.to_vec();
        assert!(mul::<Every>(
            p,
            &mut Maps::in_place(&mut place),
            gate,
            &mut scratch
        ));
        assert_eq!(place, expected);
        assert!(!mul::<Every>(
            p,
            &mut Maps::in_place(&mut place),
            gate,
            &mut scratch[1..]
        ));
        assert!(!mul::<Every>(
            p,
            &mut Maps::in_place(&mut place),
            &gate[1..],
            &mut scratch
        ));
        assert_eq!(place, expected);
        true
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn equals_the_reference(
            ch in 1usize..40, pixels in 1usize..30, seed: u32, zero: (i8, i8, i8), relu: bool,
            act: (i8, i8), full: bool, mantissa in 1i32 << 30..=i32::MAX, shift in -12i32..=-2,
        ) {
            let mut state = seed;
            let mut byte = || {
                state = state.wrapping_mul(1664525).wrapping_add(1013904223);
                (state >> 24) as i8
            };
            let act = if full || relu { (-128, 127) } else { (act.0.min(act.1), act.0.max(act.1)) };
            let p = MulParams {
                ch,
                zero_points: [zero.0.into(), zero.1.into()],
                multiplier: Multiplier { mantissa: if seed % 50 == 0 { 0 } else { mantissa }, shift },
                output_zero_point: if relu { -128 } else { zero.2.into() },
                min: act.0.into(),
                max: act.1.into(),
            };
            let map: Vec<i8> = (0..ch * pixels).map(|_| byte()).collect();
            let gate: Vec<i8> = (0..ch).map(|_| byte()).collect();
            prop_assert!(check(&p, &map, &gate));
        }
    }

    #[test]
    fn all_products() {
        let map: Vec<i8> = (0..65536).map(|i| (i >> 8) as u8 as i8).collect();
        let gate: Vec<i8> = (0..256).map(|i| i as u8 as i8).collect();
        for shift in [-2, -3, -4, -7, -9, -10, -22] {
            for (output_zero_point, zero_points) in
                [(-128, [-128, 127]), (127, [127, -128]), (-3, [5, -7])]
            {
                for mantissa in [1 << 30, 1_518_500_250, i32::MAX] {
                    let p = MulParams {
                        ch: 256,
                        zero_points,
                        multiplier: Multiplier { mantissa, shift },
                        output_zero_point,
                        min: -128,
                        max: 127,
                    };
                    assert!(check(&p, &map, &gate));
                }
            }
        }
    }

    #[test]
    fn shifts_out_of_range_are_refused() {
        for shift in [-31, -23, -1, 0, 5] {
            let p = MulParams {
                ch: 1,
                zero_points: [0, 0],
                multiplier: Multiplier {
                    mantissa: 1 << 30,
                    shift,
                },
                output_zero_point: 0,
                min: -128,
                max: 127,
            };
            assert!(!check(&p, &[1, 2], &[3]));
        }
    }
}
