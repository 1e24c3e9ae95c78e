//! Four bytes at a time in one word: what sums of channels need of an instruction set.

use super::sums::WIDE;

/// The instructions; halves and bytes count from the low end.
pub trait Lanes {
    /// Bytes 0 and 2 of `x`, signed, added to the halves of `sums`.
    fn add_even(sums: u32, x: u32) -> u32;

    /// Bytes 1 and 3 of `x`, signed, added to the halves of `sums`.
    fn add_odd(sums: u32, x: u32) -> u32;

    /// Sums of 16 channels over at most 256 pixels, in halves: channels (0, 2) (1, 3) (4, 6) …
    fn wide_sums(input: &[i8], c: usize, first: usize, pixels: usize) -> [u32; WIDE / 2];

    /// Averages of as many channels as a wide kernel takes, from the first on; how many.
    fn wide_average(input: &[i8], c: usize, pixels: usize, output: &mut [i8]) -> usize;
}

/// The four values as one word, first one lowest.
#[inline(always)]
pub fn word(bytes: [i8; 4]) -> u32 {
    u32::from_le_bytes(bytes.map(|b| b as u8))
}

/// Plain Rust.
#[derive(Debug)]
pub struct Plain;

impl Lanes for Plain {
    #[inline(always)]
    fn add_even(sums: u32, x: u32) -> u32 {
        let low = (sums as u16).wrapping_add(x as i8 as u16);
        let high = ((sums >> 16) as u16).wrapping_add((x >> 16) as i8 as u16);
        u32::from(low) | u32::from(high) << 16
    }

    #[inline(always)]
    fn add_odd(sums: u32, x: u32) -> u32 {
        Self::add_even(sums, x.rotate_right(8))
    }

    fn wide_sums(input: &[i8], c: usize, first: usize, pixels: usize) -> [u32; WIDE / 2] {
        let mut sums = [0; WIDE / 2];
        for (i, [even, odd]) in sums.as_chunks_mut::<2>().0.iter_mut().enumerate() {
            for pixel in input.chunks_exact(c).take(pixels) {
                if let Some(x) = pixel.get(first + 4 * i..).and_then(|x| x.first_chunk()) {
                    let x = word(*x);
                    (*even, *odd) = (Self::add_even(*even, x), Self::add_odd(*odd, x));
                }
            }
        }
        sums
    }

    fn wide_average(_: &[i8], _: usize, _: usize, _: &mut [i8]) -> usize {
        0
    }
}
