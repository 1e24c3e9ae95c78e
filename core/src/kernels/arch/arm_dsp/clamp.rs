//! Narrow clamps of a finished map: kernels saturate to int8, a second pass does the rest.
//!
//! Four values a word. Shifted by 128 they are unsigned; two saturating subtractions and an
//! addition between them clamp at both ends.

use super::simd;

/// Clamps every value of `map` to `act`.
#[inline(never)]
pub fn clamp(act: (i8, i8), map: &mut [i8]) {
    if act == (i8::MIN, i8::MAX) {
        return;
    }
    let (low, high) = (act.0, act.1.max(act.0));
    let every = |x: u8| u32::from(x) * 0x0101_0101;
    let below = low.wrapping_sub(i8::MIN) as u8;
    let above = i8::MAX.wrapping_sub(high) as u8;
    // below + above = 255 − (high − low).
    let (below, both, above) = (every(below), every(below + above), every(above));
    let (words, rest) = map.as_chunks_mut::<4>();
    for word in words {
        let x = simd::word(*word) ^ 0x8080_8080;
        *word = simd::bytes(simd::clamp_bytes(x, below, both, above) ^ 0x8080_8080);
    }
    rest.iter_mut().for_each(|q| *q = (*q).clamp(low, high));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_and_clamp() {
        for low in (-128..=127).step_by(15) {
            for high in (low..=127).step_by(11) {
                let mut map: [i8; 259] = core::array::from_fn(|i| i as u8 as i8);
                clamp((low as i8, high as i8), &mut map);
                for (i, q) in map.into_iter().enumerate() {
                    assert_eq!(i32::from(q), i32::from(i as u8 as i8).clamp(low, high));
                }
            }
        }
    }
}
