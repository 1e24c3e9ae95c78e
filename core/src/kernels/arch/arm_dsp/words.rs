//! Scratch memory as words.
#![allow(unsafe_code)] // the same memory as another integer type

/// The bytes as words; none where they do not begin at a multiple of 4. A rest shorter than a word
/// is left out.
pub fn aligned(bytes: &mut [i8]) -> Option<&mut [u32]> {
    // SAFETY: every bit pattern is an i8 and a u32; the words are written and read as such while
    // the bytes are borrowed.
    let (before, words, _) = unsafe { bytes.align_to_mut::<u32>() };
    before.is_empty().then_some(words)
}
