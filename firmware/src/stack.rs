//! How deep the stack has been: paint it, run, look how far the paint is gone.
//!
//! Plain arithmetic on words; `board` finds, paints and reads the memory. The stack grows down, so the deepest
//! touched word is the lowest one whose paint is gone.

/// What unused stack words hold.
pub const PAINT: u32 = 0x5afe_57ac;

/// Bytes of the stack that have been used, given all its words from the lowest address up.
///
/// Reading stops at the first word without paint: nothing that is in use is looked at.
///
/// ```
/// use pupil_firmware::stack::{PAINT, used};
/// assert_eq!(used([PAINT, PAINT, 7, PAINT, 9].into_iter()), 12);
/// assert_eq!(used([PAINT, PAINT].into_iter()), 0);
/// ```
pub fn used(mut words: impl ExactSizeIterator<Item = u32>) -> usize {
    let all = words.len();
    let clean = words.position(|word| word != PAINT).unwrap_or(all);
    (all - clean) * size_of::<u32>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_painted_words_below_count_as_unused() {
        let mut words = [PAINT; 8];
        words[6] = 1;
        assert_eq!(used(words.into_iter()), 8);
        words[3] = 0;
        assert_eq!(used(words.into_iter()), 20);
        assert_eq!(used([1; 8].into_iter()), 32);
        assert_eq!(used([].into_iter()), 0);
    }

    #[test]
    fn words_above_the_first_unpainted_one_are_not_read() {
        let words = (0..5).map(|i| {
            if i < 2 {
                PAINT
            } else {
                assert_eq!(i, 2);
                0
            }
        });
        assert_eq!(used(words), 12);
    }
}
