//! A table of 256 int8 values over a map: three instructions a value and the loop.

use crate::kernels::arch::operands::Maps;

/// Each value through `table`, whose index is the int8 plus 128. False, with the output unchanged, where
/// the maps have different lengths.
pub fn lookup(table: &[u8; 256], maps: &mut Maps<'_>) -> bool {
    let [len, output] = maps.lens();
    if len != output {
        return false;
    }
    let done = ops::fours(table, maps, len);
    for i in done..len {
        let x = maps.input().get(i).copied().unwrap_or(0);
        if let Some(y) = maps.output().get_mut(i) {
            *y = table[usize::from(x as u8 ^ 0x80)] as i8;
        }
    }
    true
}

#[cfg(not(arm_dsp))]
mod ops {
    use super::Maps;

    pub fn fours(_: &[u8; 256], _: &mut Maps<'_>, _: usize) -> usize {
        0
    }
}

#[cfg(arm_dsp)]
mod ops {
    //! Registers: r0 input, r1 output, r2 middle of the table, r3 count, r4–r7 values: 8.
    #![allow(unsafe_code)]

    use super::Maps;
    use core::arch::global_asm;

    global_asm!(
        dsp!(),
        r#"
    .syntax unified
    .section .text.pupil_m4_lookup, "ax", %progbits
    .global pupil_m4_lookup
    .thumb_func
    pupil_m4_lookup:
    push   {{r4-r7}}
1:  ldrsb  r4, [r0], #1
    ldrsb  r5, [r0], #1
    ldrsb  r6, [r0], #1
    ldrsb  r7, [r0], #1
    ldrb   r4, [r2, r4]
    ldrb   r5, [r2, r5]
    ldrb   r6, [r2, r6]
    ldrb   r7, [r2, r7]
    subs   r3, #1
    strb   r4, [r1], #1
    strb   r5, [r1], #1
    strb   r6, [r1], #1
    strb   r7, [r1], #1
    bne    1b
    pop    {{r4-r7}}
    bx     lr
    .text
    "#
    );

    unsafe extern "C" {
        fn pupil_m4_lookup(x: *const i8, y: *mut i8, middle: *const u8, fours: usize);
    }

    /// Looks up fours of `len` values, which both maps have; how many values.
    pub fn fours(table: &[u8; 256], maps: &mut Maps<'_>, len: usize) -> usize {
        let (fours, (x, y)) = (len / 4, maps.places());
        if fours > 0 {
            // SAFETY: the maps hold `len` values; indices −128..127 lie around the table's middle.
            // Every value is read before it is written. The callee keeps the C ABI.
            unsafe { pupil_m4_lookup(x, y, table.as_ptr().wrapping_add(128), fours) }
        }
        4 * fours
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_apart_and_in_place() {
        let table: [u8; 256] = core::array::from_fn(|i| (i * 73 + 5) as u8);
        let input: [i8; 259] = core::array::from_fn(|i| (i * 3) as u8 as i8);
        let expected = input.map(|x| table[(i32::from(x) + 128) as usize] as i8);
        let mut output = [0; 259];
        assert!(lookup(&table, &mut Maps::apart(&input, &mut output)));
        assert_eq!(output, expected);
        let mut map = input;
        assert!(lookup(&table, &mut Maps::in_place(&mut map)));
        assert_eq!(map, expected);
        let mut short = [9; 5];
        assert!(!lookup(&table, &mut Maps::apart(&input[..3], &mut short)));
        assert_eq!(short, [9; 5]);
    }
}
