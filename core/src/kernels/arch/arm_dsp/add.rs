//! Residual addition with one table: nine instructions a value.
//!
//! TensorFlow Lite scales each input by its scale over twice the greater scale. For the input with
//! the greater scale that is 1/2 exactly: its term is (x − z) 2^19 without any rounding. The other
//! input's term is a function of one int8: a table of 256 words, both zero points included, made
//! when the model is packed (1 KB of flash a layer). All terms are doubled here, so that one SMMLAR
//! is the output's high multiplication:
//!
//! sum = table\[x2\] + x1 2^20; q = (sum m / 2^32 + c) / 2^e, ties away from zero, and
//! c = 2^(e−1) + (z + 128) 2^e, less one where the sum is negative. Four values are packed in
//! halves, saturated as unsigned bytes, and shifted back by 128.

#![allow(unsafe_code)]

use core::marker::PhantomData;

#[cfg(arm_dsp)]
use crate::kernels::arch::operands::Operands;
#[cfg(arm_dsp)]
use crate::kernels::{OperatorSet, Operators};
use crate::op::AddParams;
use crate::op::add::HALF;

/// Where an addition reads and writes.
#[derive(Debug)]
pub struct Maps<'a> {
    a: *const i8,
    b: *const i8,
    y: *mut i8,
    len: usize,
    life: PhantomData<(&'a [i8], &'a mut [i8])>,
}

#[cfg_attr(arm_dsp, allow(dead_code))] // the tests' ways in
impl<'a> Maps<'a> {
    fn new(a: *const i8, b: *const i8, y: *mut i8, len: usize) -> Self {
        Self {
            a,
            b,
            y,
            len,
            life: PhantomData,
        }
    }

    /// Two inputs and an output that overlap in nothing but that the inputs may be one.
    #[inline(always)]
    pub fn apart(a: &'a [i8], b: &'a [i8], y: &'a mut [i8]) -> Self {
        let len = a.len().min(b.len()).min(y.len());
        Self::new(a.as_ptr(), b.as_ptr(), y.as_mut_ptr(), len)
    }

    /// The output takes the first input's place.
    #[inline(always)]
    pub fn first(a: &'a mut [i8], b: &'a [i8]) -> Self {
        let (len, a) = (a.len().min(b.len()), a.as_mut_ptr());
        Self::new(a, b.as_ptr(), a, len)
    }

    /// The output takes the second input's place.
    #[inline(always)]
    pub fn second(a: &'a [i8], b: &'a mut [i8]) -> Self {
        let (len, b) = (a.len().min(b.len()), b.as_mut_ptr());
        Self::new(a.as_ptr(), b, b, len)
    }

    /// Both inputs and the output are one map.
    #[inline(always)]
    pub fn doubled(x: &'a mut [i8]) -> Self {
        let (len, x) = (x.len(), x.as_mut_ptr());
        Self::new(x, x, x, len)
    }
}

/// A packed addition.
#[derive(Clone, Copy, Debug)]
pub struct Add<'a> {
    /// Little-endian words: doubled terms of the other input, index is its int8 as u8.
    table: &'a [[u8; 4]; 256],
    /// Whether the first input is the one with the table.
    first_in_table: bool,
    /// Q31 mantissa of the output.
    mantissa: i32,
    /// Half of the divisor and the zero point.
    addend: i32,
    /// Right shift of the output, in [`SHIFTS`].
    shift: i32,
}

impl<'a> Add<'a> {
    /// The fast form of an addition that has a table: the parser gives it to those whose factors
    /// [`table`] takes.
    #[inline(always)]
    pub fn of(p: &AddParams<'a>) -> Option<Self> {
        let shift = -p.output_multiplier.shift;
        Some(Self {
            table: p.table?,
            first_in_table: p.multipliers[1] == HALF,
            mantissa: p.output_multiplier.mantissa,
            addend: (1i32 << ((shift - 1) & 31))
                .wrapping_add((p.output_zero_point + 128) << (shift & 31)),
            shift,
        })
    }

    /// `output = first + second`, as many values as the shortest map has; clamps are not applied.
    #[inline(always)]
    pub fn run(&self, maps: Maps<'_>) {
        let (x, other) = if self.first_in_table {
            (maps.b, maps.a)
        } else {
            (maps.a, maps.b)
        };
        self.values(x, other, &maps);
    }

    #[cfg(not(arm_dsp))]
    fn values(&self, x: *const i8, other: *const i8, maps: &Maps<'_>) {
        for i in 0..maps.len {
            // SAFETY: all maps have `len` values, and each is read before it is written.
            unsafe {
                let q = self.one(x.add(i).read(), other.add(i).read());
                maps.y.add(i).write(q);
            }
        }
    }

    /// One value; `x` is the input without a table.
    #[cfg(not(arm_dsp))]
    fn one(&self, x: i8, other: i8) -> i8 {
        let term = i32::from_le_bytes(self.table[usize::from(other as u8)]);
        let sum = term.wrapping_add(i32::from(x) << 20);
        let high = (i64::from(sum) * i64::from(self.mantissa) + (1 << 31)) >> 32;
        let q = (high as i32)
            .wrapping_add(self.addend)
            .wrapping_add(sum >> 31)
            >> (self.shift & 31);
        (q.clamp(0, 255) as u8 ^ 0x80) as i8
    }

    #[cfg(arm_dsp)]
    fn values(&self, x: *const i8, other: *const i8, maps: &Maps<'_>) {
        let frame = ops::Frame {
            // Single words are loaded from any address.
            table: self.table.as_ptr().cast(),
            len: maps.len,
            m: self.mantissa,
            c: self.addend,
            e: self.shift,
        };
        // SAFETY: all maps hold `len` values, of which four are read before they are written; table
        // indices are bytes. Maps that are one are only reached through these pointers meanwhile.
        // The callee keeps the C ABI.
        unsafe { ops::pupil_m4_add(x, other, maps.y, &frame) }
    }
}

/// An addition with a table; [`run`](super::run::run) has checked the places. False, with nothing
/// written, where the maps have different lengths or there is no table.
#[cfg(arm_dsp)]
#[inline(never)]
pub fn add<O: Operators>(p: &AddParams<'_>, places: &mut Operands<'_>) -> bool {
    let (x, y) = places.maps.places();
    let [input, output] = places.maps.lens();
    let (other, len) = (places.other, output);
    if input != len || places.which < 2 && other.len() != len {
        return false;
    }
    let (a, b) = match places.which {
        0 => (x, other.as_ptr()),
        1 => (other.as_ptr(), x),
        _ => (x, x),
    };
    let Some(add) = Add::of(p) else {
        return false;
    };
    add.run(Maps::new(a, b, y, len));
    if O::SET.has(OperatorSet::ADD_CLAMP) {
        let output = places.maps.output().get_mut(..len);
        super::clamp::clamp((p.min as i8, p.max as i8), output.unwrap_or(&mut []));
    }
    true
}

#[cfg(arm_dsp)]
mod ops {
    //! Registers: r0 input without table, r1 input with table, r2 output, r3 table, r4–r7 sums,
    //! r8 byte and then addend, r9 m, r10 c, r11 e, lr count: 13.

    use core::arch::global_asm;

    global_asm!(
        dsp!(),
        r#"
    .syntax unified
    .macro PADD_SUM sum, byte
    add    \sum, \sum, \byte, lsl #20
    .endm
    .macro PADD_AWAY sum
    add    r8, r10, \sum, asr #31
    smmlar \sum, \sum, r9, r8
    asr    \sum, \sum, r11
    .endm
    @ r0 input, r1 input with table, r2 output, r3 -> table, values, m, c, e.
    .section .text.pupil_m4_add, "ax", %progbits
    .global pupil_m4_add
    .thumb_func
    pupil_m4_add:
    push   {{r4-r11, lr}}
    ldm    r3, {{r3, r8, r9, r10, r11}}
    and    r4, r8, #3
    push   {{r4}}
    lsrs   lr, r8, #2
    beq    2f
1:  ldrb   r4, [r1], #4
    ldrb   r5, [r1, #-3]
    ldrb   r6, [r1, #-2]
    ldrb   r7, [r1, #-1]
    ldr    r4, [r3, r4, lsl #2]
    ldr    r5, [r3, r5, lsl #2]
    ldr    r6, [r3, r6, lsl #2]
    ldr    r7, [r3, r7, lsl #2]
    ldrsb  r8, [r0], #4
    ldrsb  r12, [r0, #-3]
    PADD_SUM r4, r8
    PADD_SUM r5, r12
    ldrsb  r8, [r0, #-2]
    ldrsb  r12, [r0, #-1]
    PADD_SUM r6, r8
    PADD_SUM r7, r12
    PADD_AWAY r4
    PADD_AWAY r5
    PADD_AWAY r6
    PADD_AWAY r7
    pkhbt  r4, r4, r6, lsl #16
    pkhbt  r5, r5, r7, lsl #16
    usat16 r4, #8, r4
    usat16 r5, #8, r5
    subs   lr, #1
    orr    r4, r4, r5, lsl #8
    eor    r4, r4, #0x80808080
    str    r4, [r2], #4
    bne    1b
2:  pop    {{r5}}
    cbz    r5, 4f
3:  ldrb   r4, [r1], #1
    ldr    r4, [r3, r4, lsl #2]
    ldrsb  r8, [r0], #1
    PADD_SUM r4, r8
    PADD_AWAY r4
    usat   r4, #8, r4
    eor    r4, r4, #0x80
    strb   r4, [r2], #1
    subs   r5, #1
    bne    3b
4:  pop    {{r4-r11, pc}}
    .text
    "#
    );

    #[repr(C)]
    pub struct Frame {
        pub table: *const i32,
        pub len: usize,
        pub m: i32,
        pub c: i32,
        pub e: i32,
    }

    unsafe extern "C" {
        pub fn pupil_m4_add(x: *const i8, other: *const i8, y: *mut i8, frame: *const Frame);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::arch::arm_dsp::clamp::clamp;
    use crate::kernels::reference;
    use crate::op::add::table;
    use crate::op::quant::Affine;
    use crate::op::quant::Multiplier;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn check(p: &AddParams<'_>, points: [i32; 3], a: &[i8], b: &[i8]) -> bool {
        let act = (p.min as i8, p.max as i8);
        let Some(word) = table(p) else {
            return false;
        };
        let words = core::array::from_fn(|i| word(i).to_le_bytes());
        let p = AddParams {
            table: Some(&words),
            ..*p
        };
        let add = Add::of(&p).unwrap();
        let multipliers = [p.multipliers[0], p.multipliers[1], p.output_multiplier];
        let clamped = |mut map: Vec<i8>| {
            clamp(act, &mut map);
            map
        };
        let one = |(a, b): (&i8, &i8)| reference::add((*a, *b), points, multipliers, act);
        let expected: Vec<i8> = a.iter().zip(b).map(one).collect();
        let mut y = std::vec![0; a.len()];
        add.run(Maps::apart(a, b, &mut y));
        assert_eq!(clamped(y), expected);
        let mut map = a.to_vec();
        add.run(Maps::first(&mut map, b));
        assert_eq!(clamped(map), expected);
        let mut map = b.to_vec();
        add.run(Maps::second(a, &mut map));
        assert_eq!(clamped(map), expected);
        let mut map = a.to_vec();
        add.run(Maps::doubled(&mut map));
        let doubled: Vec<i8> = a.iter().zip(a).map(one).collect();
        assert_eq!(clamped(map), doubled);
        true
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn equals_the_reference(
            values in prop::collection::vec(any::<(i8, i8)>(), 1..300),
            scales in (0.01f32..1.0, 0.01f32..1.0, 0.06f32..1.0),
            zero: (i8, i8, i8), act: (i8, i8), full: bool, same: bool,
        ) {
            let act = if full { (-128, 127) } else { (act.0.min(act.1), act.0.max(act.1)) };
            let affine = |scale, zero_point| Affine { scale, zero_point };
            let second = if same { scales.0 } else { scales.1 };
            let inputs = [affine(scales.0, zero.0), affine(second, zero.1)];
            let p = AddParams::new(inputs, affine(scales.2, zero.2), act);
            let points = [zero.0, zero.1, zero.2].map(i32::from);
            let (a, b): (Vec<i8>, Vec<i8>) = values.into_iter().unzip();
            // Outputs more than 16 times finer or coarser than the inputs have no fast form.
            let ratio = scales.0.max(second) / scales.2;
            prop_assert!(check(&p, points, &a, &b) || !(1.0 / 16.0..16.0).contains(&ratio));
        }
    }

    #[test]
    fn all_pairs_of_values() {
        let affine = |scale, zero_point| Affine { scale, zero_point };
        for (s1, s2, so) in [(0.05, 0.04, 0.06), (0.02, 0.02, 0.02), (0.3, 1.1, 0.9)] {
            let inputs = [affine(s1, -128), affine(s2, 127)];
            let p = AddParams::new(inputs, affine(so, 3), (-128, 127));
            let a: Vec<i8> = (0..65536).map(|i| (i >> 8) as u8 as i8).collect();
            let b: Vec<i8> = (0..65536).map(|i| i as u8 as i8).collect();
            assert!(check(&p, [-128, 127, 3], &a, &b));
        }
    }

    #[test]
    fn factors_out_of_range_are_refused() {
        let affine = |scale, zero_point| Affine { scale, zero_point };
        let inputs = [affine(1.0, 0), affine(1.0, 0)];
        let p = AddParams::new(inputs, affine(0.01, 0), (-128, 127));
        assert!(table(&p).is_none());
        let mut p = AddParams::new(inputs, affine(1.0, 0), (-128, 127));
        assert!(table(&p).is_some());
        p.multipliers = [Multiplier {
            mantissa: 1 << 30,
            shift: -1,
        }; 2];
        assert!(table(&p).is_none());
    }
}
