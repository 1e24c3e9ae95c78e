//! A non-linearity as a table of 256 int8 values.

use super::m4::lookup as m4;
use super::maps::Maps;

/// Each value of `input` through `table`, whose index is the int8 plus 128.
pub fn lookup(table: &[u8; 256], input: &[i8], output: &mut [i8]) {
    if cfg!(arm_dsp) {
        return m4::lookup(table, Maps::apart(input, output));
    }
    for (y, x) in output.iter_mut().zip(input) {
        *y = table[usize::from(*x as u8 ^ 0x80)] as i8;
    }
}

/// [`lookup`] on a map that becomes its own output.
pub fn lookup_in_place(table: &[u8; 256], map: &mut [i8]) {
    if cfg!(arm_dsp) {
        return m4::lookup(table, Maps::in_place(map));
    }
    for x in map {
        *x = table[usize::from(*x as u8 ^ 0x80)] as i8;
    }
}
