//! A non-linearity as a table of 256 int8 values.

use crate::kernels::arch::operands::Maps;

/// Each value of the input through `table`, whose index is the int8 plus 128, apart or in place. False,
/// with the output unchanged, where both have different lengths.
#[must_use]
pub fn lookup(table: &[u8; 256], maps: &mut Maps<'_>) -> bool {
    let one = |x: i8| table[usize::from(x as u8 ^ 0x80)] as i8;
    match maps.split() {
        Ok((input, output)) => {
            if input.len() != output.len() {
                return false;
            }
            for (y, x) in output.iter_mut().zip(input) {
                *y = one(*x);
            }
        }
        Err(map) => map.iter_mut().for_each(|x| *x = one(*x)),
    }
    true
}
