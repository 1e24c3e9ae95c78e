//! Sums of channels over pixels: mean, global average pool, and pools over part of a map.
//!
//! Sixteen channels at a time in the halves of eight registers: one LDM of four words, eight
//! SXTAB16 and an addition a pixel. A half holds the sum of 256 values; longer sums are added up in
//! 32 bits. Channels beyond sixteens come in fours, an unaligned or odd rest ends with four that
//! overlap the ones before.

use super::lanes::{Lanes, word};

/// Channels of the wide kernel.
pub const WIDE: usize = 16;

/// Values whose sum a half holds.
pub const PIXELS: usize = 256;

/// Calls `finish(first channel, sums)` for all channels of `input [pixels, c]`, in groups of 16, 4
/// or fewer; channels may come twice, with the same sums. At most 2^23 pixels.
pub fn sums<L: Lanes>(input: &[i8], c: usize, mut finish: impl FnMut(usize, &[i32])) {
    let aligned = input.as_ptr().addr().is_multiple_of(4) && c.is_multiple_of(4);
    let mut channel = 0;
    while channel < c {
        let left = c - channel;
        if aligned && left >= WIDE {
            finish(channel, &sixteen::<L>(input, c, channel));
            channel += WIDE;
        } else if c >= 4 {
            let first = channel.min(c - 4);
            finish(first, &four::<L>(input, c, first));
            channel += 4;
        } else {
            let values = input.iter().skip(channel).step_by(c);
            finish(channel, &[values.map(|x| i32::from(*x)).sum()]);
            channel += 1;
        }
    }
}

/// Whether [`sixteen`] takes the channels: there are as many, and they can be read as words.
pub fn is_wide(input: &[i8], c: usize) -> bool {
    input.as_ptr().addr().is_multiple_of(4) && c.is_multiple_of(4) && c >= WIDE
}

/// Sums of 16 channels from `first`, a multiple of 4, on; zeros where [`is_wide`] is false or there
/// are fewer.
#[inline(never)]
pub fn sixteen<L: Lanes>(input: &[i8], c: usize, first: usize) -> [i32; WIDE] {
    let mut sums = [0; WIDE];
    if !is_wide(input, c) || first + WIDE > c || !first.is_multiple_of(4) {
        return sums;
    }
    let mut rest = input;
    while rest.len() >= c {
        let pixels = (rest.len() / c).min(PIXELS);
        let part = L::wide_sums(rest, c, first, pixels);
        for (i, sum) in sums.iter_mut().enumerate() {
            let word = part[i / 4 * 2 + i % 2];
            *sum += i32::from(if i & 2 == 0 {
                word as i16
            } else {
                (word >> 16) as i16
            });
        }
        rest = rest.get(pixels * c..).unwrap_or(&[]);
    }
    sums
}

/// Sums of four channels from `first` on.
fn four<L: Lanes>(input: &[i8], c: usize, first: usize) -> [i32; 4] {
    let mut total = [0; 4];
    for part in input.chunks(PIXELS * c) {
        let (mut even, mut odd) = (0, 0);
        for pixel in part.chunks_exact(c) {
            if let Some(x) = pixel.get(first..).and_then(|x| x.first_chunk()) {
                let x = word(*x);
                (even, odd) = (L::add_even(even, x), L::add_odd(odd, x));
            }
        }
        for (total, sum) in total.iter_mut().zip(halves(even, odd)) {
            *total += sum;
        }
    }
    total
}

/// The four sums in the halves of two words.
pub fn halves(even: u32, odd: u32) -> [i32; 4] {
    [
        even as i16,
        odd as i16,
        (even >> 16) as i16,
        (odd >> 16) as i16,
    ]
    .map(i32::from)
}

/// TensorFlow Lite's AVERAGE_POOL_2D of whole channels: `input [pixels, c]` to `output [c]`.
///
/// False, with nothing written, where a slice is too short or there are no pixels.
#[inline(always)]
pub fn average<L: Lanes>(input: &[i8], c: usize, output: &mut [i8]) -> bool {
    let (Some(pixels), true) = (input.len().checked_div(c), output.len() >= c) else {
        return false;
    };
    if pixels == 0 || input.len() != pixels * c {
        return false;
    }
    let done = L::wide_average(input, c, pixels, output);
    let Some(output) = output.get_mut(done..c) else {
        return false;
    };
    if output.is_empty() {
        return true;
    }
    let n = pixels as i32;
    let divide = |sum: i32| {
        let half = if sum > 0 { n / 2 } else { -(n / 2) };
        ((sum + half) / n) as i8
    };
    // The channels that are left, each pixel's other channels before and behind them.
    sums::<L>(input, c, |first, sums| {
        for (i, sum) in sums.iter().enumerate() {
            let place = (first + i).checked_sub(done);
            if let Some(y) = place.and_then(|i| output.get_mut(i)) {
                *y = divide(*sum);
            }
        }
    });
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::arch::portable::lanes::Plain;
    use std::vec;
    use std::vec::Vec;

    #[test]
    fn sums_and_averages_of_every_number_of_channels_and_pixels() {
        for c in 1..40 {
            for pixels in [1, 2, 7, 8, 9, 255, 256, 257, 600] {
                let input: Vec<i8> = (0..pixels * c)
                    .map(|i| (i * i * 31 + 7 * c) as u8 as i8)
                    .collect();
                let expected: Vec<i32> = (0..c)
                    .map(|k| input.iter().skip(k).step_by(c).map(|x| i32::from(*x)).sum())
                    .collect();
                let mut found = vec![None; c];
                sums::<Plain>(&input, c, |first, sums| {
                    for (i, sum) in sums.iter().enumerate() {
                        assert!(found[first + i].is_none_or(|s| s == *sum));
                        found[first + i] = Some(*sum);
                    }
                });
                assert!(found.iter().zip(&expected).all(|(a, b)| *a == Some(*b)));
                let mut y = vec![0; c];
                assert!(average::<Plain>(&input, c, &mut y));
                for (y, sum) in y.iter().zip(&expected) {
                    let exact = f64::from(*sum) / pixels as f64;
                    assert_eq!(f64::from(*y), exact.round(), "{sum} {pixels}");
                }
                assert!(!average::<Plain>(&input[1..], c, &mut y) || c == 1);
                assert!(!average::<Plain>(&input, c, &mut y[1..]));
            }
        }
    }

    #[test]
    fn extreme_sums_fit() {
        for value in [-128, 127] {
            let input = [value; 256 * 17];
            sums::<Plain>(&input, 17, |_, sums| {
                assert!(sums.iter().all(|s| *s == 256 * i32::from(value)))
            });
            let mut y = [0; 16];
            assert!(average::<Plain>(&input[..256 * 16], 16, &mut y));
            assert_eq!(y, [value; 16]);
        }
    }
}
