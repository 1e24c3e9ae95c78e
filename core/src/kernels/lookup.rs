//! A non-linearity as a table of 256 int8 values.

use super::m4::lookup as m4;
use super::maps::Maps;

/// Each value of `input` through `table`, whose index is the int8 plus 128. False, with the output
/// unchanged, where both have different lengths.
#[must_use]
pub fn lookup(table: &[u8; 256], input: &[i8], output: &mut [i8]) -> bool {
    if input.len() != output.len() {
        return false;
    }
    if cfg!(arm_dsp) {
        m4::lookup(table, Maps::apart(input, output));
        return true;
    }
    for (y, x) in output.iter_mut().zip(input) {
        *y = table[usize::from(*x as u8 ^ 0x80)] as i8;
    }
    true
}

/// [`lookup`] on a map that becomes its own output.
#[must_use]
pub fn lookup_in_place(table: &[u8; 256], map: &mut [i8]) -> bool {
    if cfg!(arm_dsp) {
        m4::lookup(table, Maps::in_place(map));
        return true;
    }
    for x in map {
        *x = table[usize::from(*x as u8 ^ 0x80)] as i8;
    }
    true
}
