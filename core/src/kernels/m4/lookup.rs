//! A table of 256 int8 values over a map: three instructions a value and the loop.

use crate::kernels::maps::Maps;

/// Each value through `table`, whose index is the int8 plus 128. Of two maps the shorter one counts.
pub fn lookup(table: &[u8; 256], maps: Maps<'_>) {
    let get = |x: i8| table[(i32::from(x) + 128) as usize] as i8;
    match maps {
        Maps::Apart(input, output) => {
            let done = ops::lookup(table, input, output);
            let rest = output.iter_mut().zip(input).skip(done);
            rest.for_each(|(y, x)| *y = get(*x));
        }
        Maps::InPlace(map) => {
            let done = ops::lookup_in_place(table, map);
            map.iter_mut().skip(done).for_each(|x| *x = get(*x));
        }
    }
}

#[cfg(not(arm_dsp))]
mod ops {
    pub fn lookup(_: &[u8; 256], _: &[i8], _: &mut [i8]) -> usize {
        0
    }

    pub fn lookup_in_place(_: &[u8; 256], _: &mut [i8]) -> usize {
        0
    }
}

#[cfg(arm_dsp)]
mod ops {
    //! Registers: r0 input, r1 output, r2 middle of the table, r3 count, r4–r7 values: 8.
    #![allow(unsafe_code)]

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

    fn run(table: &[u8; 256], x: *const i8, y: *mut i8, len: usize) -> usize {
        let fours = len / 4;
        if fours > 0 {
            // SAFETY: the callers' maps hold `len` values; indices −128..127 lie around the
            // table's middle. Every value is read before it is written. The callee keeps the C
            // ABI.
            unsafe { pupil_m4_lookup(x, y, table.as_ptr().wrapping_add(128), fours) }
        }
        4 * fours
    }

    pub fn lookup(table: &[u8; 256], input: &[i8], output: &mut [i8]) -> usize {
        let len = input.len().min(output.len());
        run(table, input.as_ptr(), output.as_mut_ptr(), len)
    }

    pub fn lookup_in_place(table: &[u8; 256], map: &mut [i8]) -> usize {
        let place = map.as_mut_ptr();
        run(table, place.cast_const(), place, map.len())
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
        lookup(&table, Maps::Apart(&input, &mut output));
        assert_eq!(output, expected);
        let mut map = input;
        lookup(&table, Maps::InPlace(&mut map));
        assert_eq!(map, expected);
        let mut short = [9; 5];
        lookup(&table, Maps::Apart(&input[..3], &mut short));
        assert_eq!(short[..3], expected[..3]);
        assert_eq!(short[3..], [9, 9]);
    }
}
