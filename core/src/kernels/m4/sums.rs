//! Sums of channels over pixels: mean, global average pool, and pools over part of a map.
//!
//! Sixteen channels at a time in the halves of eight registers: one LDM of four words, eight
//! SXTAB16 and an addition a pixel. A half holds the sum of 256 values; longer sums are added up in
//! 32 bits. Channels beyond sixteens come in fours, an unaligned or odd rest ends with four that
//! overlap the ones before.

use super::simd;

/// Channels of the wide kernel.
const WIDE: usize = 16;

/// Values whose sum a half holds.
const PIXELS: usize = 256;

/// Calls `finish(first channel, sums)` for all channels of `input [pixels, c]`, in groups of 16, 4
/// or fewer; channels may come twice, with the same sums. At most 2^23 pixels.
pub fn sums(input: &[i8], c: usize, mut finish: impl FnMut(usize, &[i32])) {
    let aligned = input.as_ptr().addr().is_multiple_of(4) && c.is_multiple_of(4);
    let mut channel = 0;
    while channel < c {
        let left = c - channel;
        if aligned && left >= WIDE {
            finish(channel, &sixteen(input, c, channel));
            channel += WIDE;
        } else if c >= 4 {
            let first = channel.min(c - 4);
            finish(first, &four(input, c, first));
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
pub fn sixteen(input: &[i8], c: usize, first: usize) -> [i32; WIDE] {
    let mut sums = [0; WIDE];
    if !is_wide(input, c) || first + WIDE > c || !first.is_multiple_of(4) {
        return sums;
    }
    let mut rest = input;
    while rest.len() >= c {
        let pixels = (rest.len() / c).min(PIXELS);
        let part = wide::sums(rest, c, first, pixels);
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
fn four(input: &[i8], c: usize, first: usize) -> [i32; 4] {
    let mut total = [0; 4];
    for part in input.chunks(PIXELS * c) {
        let (mut even, mut odd) = (0, 0);
        for pixel in part.chunks_exact(c) {
            if let Some(x) = pixel.get(first..).and_then(|x| x.first_chunk()) {
                let x = simd::word(*x);
                (even, odd) = (simd::add_even(even, x), simd::add_odd(odd, x));
            }
        }
        for (total, sum) in total.iter_mut().zip(halves(even, odd)) {
            *total += sum;
        }
    }
    total
}

/// The four sums in the halves of two words.
pub(super) fn halves(even: u32, odd: u32) -> [i32; 4] {
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
pub fn average(input: &[i8], c: usize, output: &mut [i8]) -> bool {
    let (Some(pixels), true) = (input.len().checked_div(c), output.len() >= c) else {
        return false;
    };
    if pixels == 0 || input.len() != pixels * c {
        return false;
    }
    let done = wide::average(input, c, pixels, output);
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
    sums(input, c, |first, sums| {
        for (i, sum) in sums.iter().enumerate() {
            let place = (first + i).checked_sub(done);
            if let Some(y) = place.and_then(|i| output.get_mut(i)) {
                *y = divide(*sum);
            }
        }
    });
    true
}

#[cfg(not(arm_dsp))]
mod wide {
    use super::{WIDE, simd};

    /// Sums of 16 channels over at most 256 pixels, in halves: channels (0, 2) (1, 3) (4, 6) …
    pub fn sums(input: &[i8], c: usize, first: usize, pixels: usize) -> [u32; WIDE / 2] {
        let mut sums = [0; WIDE / 2];
        for (i, [even, odd]) in sums.as_chunks_mut::<2>().0.iter_mut().enumerate() {
            for pixel in input.chunks_exact(c).take(pixels) {
                if let Some(x) = pixel.get(first + 4 * i..).and_then(|x| x.first_chunk()) {
                    let x = simd::word(*x);
                    (*even, *odd) = (simd::add_even(*even, x), simd::add_odd(*odd, x));
                }
            }
        }
        sums
    }

    /// Averages of as many channels as the wide kernel takes, from the first on; how many.
    pub fn average(_: &[i8], _: usize, _: usize, _: &mut [i8]) -> usize {
        0
    }
}

#[cfg(arm_dsp)]
mod wide {
    //! Registers: r0 pixels, r1 channels, r2–r5 a pixel, r6–r12 and lr sums of channels (0, 2)
    //! (1, 3) (4, 6) …: 14. End, output and the return address are on the stack.
    #![allow(unsafe_code)]

    use super::{PIXELS, WIDE};
    use core::arch::global_asm;

    global_asm!(
        dsp!(),
        r#"
    .syntax unified
    .macro PSUM_PIXEL
    ldm.w  r0, {{r2-r5}}
    add.w  r0, r0, r1
    sxtab16 r6, r6, r2
    sxtab16 r7, r7, r2, ror #8
    sxtab16 r8, r8, r3
    sxtab16 r9, r9, r3, ror #8
    sxtab16 r10, r10, r4
    sxtab16 r11, r11, r4, ror #8
    sxtab16 r12, r12, r5
    sxtab16 lr, lr, r5, ror #8
    .endm

    @ r0 first pixel, r1 channels; [sp] for the return address, [sp, 4] end, [sp, 8] entry.
    .section .text.pupil_m4_sum_pixels, "ax", %progbits
    .global pupil_m4_sum_pixels
    .thumb_func
    pupil_m4_sum_pixels:
    str    lr, [sp]
    ldm.w  r0, {{r2-r5}}
    add    r0, r0, r1
    sxtb16 r6, r2
    sxtb16 r7, r2, ror #8
    sxtb16 r8, r3
    sxtb16 r9, r3, ror #8
    sxtb16 r10, r4
    sxtb16 r11, r4, ror #8
    sxtb16 r12, r5
    sxtb16 lr, r5, ror #8
    ldr    r2, [sp, #8]
    bx     r2
    .global pupil_m4_sum_sixteen
    .thumb_func
    pupil_m4_sum_sixteen:
    .rept 16
    PSUM_PIXEL
    .endr
    ldr    r2, [sp, #4]
    cmp    r0, r2
    bne    pupil_m4_sum_sixteen
    ldr    pc, [sp]

    @ r0 first pixel, r1 channels, r2 pixels: end and entry. The first pixel is done apart; the
    @ others enter the sixteen so that they leave at its end. A pixel is 40 bytes of code.
    .macro PSUM_ENDS
    mul    r4, r2, r1
    sub    r5, r2, #1
    and    r5, r5, #15
    rsb    r5, r5, #16
    movw   r6, #:lower16:pupil_m4_sum_sixteen
    movt   r6, #:upper16:pupil_m4_sum_sixteen
    mov    r7, #40
    mla    r5, r5, r7, r6
    add    r4, r4, r0
    strd   r4, r5, [sp, #4]
    .endm

    @ r0 first pixel, r1 channels, r2 pixels, r3 sums, 8 words of halves. Two pixels a turn: a mean
    @ is a small part of a network, its code need not be.
    .section .text.pupil_m4_sums, "ax", %progbits
    .global pupil_m4_sums
    .thumb_func
    pupil_m4_sums:
    push   {{r3-r11, lr}}
    mla    r4, r2, r1, r0
    push   {{r4}}
    movs   r6, #0
    mov    r7, r6
    mov    r8, r6
    mov    r9, r6
    mov    r10, r6
    mov    r11, r6
    mov    r12, r6
    mov    lr, r6
    lsls   r2, r2, #31
    bne    2f
1:  PSUM_PIXEL
2:  PSUM_PIXEL
    ldr    r2, [sp]
    cmp    r0, r2
    bne    1b
    pop    {{r2, r3}}
    stm    r3, {{r6-r12, lr}}
    pop    {{r4-r11, pc}}

    @ To the nearest, ties away from zero: half of the pixels with the sum's sign, then division.
    @ r0 0, r1 pixels, r2 and r4 half of them in both halves, positive and negative. The saturation
    @ reaches only sums of 256 pixels that are -128 anyway.
    .macro PSUM_AVERAGES sums, at
    sadd16 r5, \sums, r0
    sel    r5, r2, r4
    qadd16 \sums, \sums, r5
    sxth   r5, \sums
    asr    \sums, \sums, #16
    sdiv   r5, r5, r1
    sdiv   \sums, \sums, r1
    strb   r5, [r3, #\at]
    strb   \sums, [r3, #\at+2]
    .endm

    @ r3 output, fifth argument: end of the output. Frame: 0 return address, 4 end, 8 entry, 12 half
    @ of the pixels in both halves, 16 the negative, 20 pixel, 24 channels, 28 pixels, 32 output,
    @ 72 end of the output.
    .section .text.pupil_m4_averages, "ax", %progbits
    .global pupil_m4_averages
    .thumb_func
    pupil_m4_averages:
    push   {{r0-r11, lr}}
    sub    sp, #20
    PSUM_ENDS
    lsr    r4, r2, #1
    mov    r5, #0
    orr    r4, r4, r4, lsl #16
    ssub16 r5, r5, r4
    strd   r4, r5, [sp, #12]
5:  bl     pupil_m4_sum_pixels
    ldrd   r1, r3, [sp, #28]
    ldrd   r2, r4, [sp, #12]
    mov    r0, #0
    PSUM_AVERAGES r6, 0
    PSUM_AVERAGES r7, 1
    PSUM_AVERAGES r8, 4
    PSUM_AVERAGES r9, 5
    PSUM_AVERAGES r10, 8
    PSUM_AVERAGES r11, 9
    PSUM_AVERAGES r12, 12
    PSUM_AVERAGES lr, 13
    ldr    r2, [sp, #4]
    ldrd   r0, r1, [sp, #20]
    ldr    r4, [sp, #72]
    add    r3, #16
    add    r2, #16
    add    r0, #16
    str    r3, [sp, #32]
    str    r2, [sp, #4]
    str    r0, [sp, #20]
    cmp    r3, r4
    bne    5b
    add    sp, #36
    pop    {{r4-r11, pc}}
    .text
    "#
    );

    unsafe extern "C" {
        fn pupil_m4_sums(x: *const i8, c: usize, pixels: usize, sums: *mut [u32; WIDE / 2]);
        fn pupil_m4_averages(x: *const i8, c: usize, pixels: usize, y: *mut i8, y_end: *mut i8);
    }

    /// Whether 16 channels from `first` on can be read as words at every pixel.
    fn readable(input: &[i8], c: usize, first: usize, pixels: usize) -> bool {
        input.as_ptr().addr().is_multiple_of(4)
            && c.is_multiple_of(4)
            && first.is_multiple_of(4)
            && first + WIDE <= c
            && (1..=PIXELS).contains(&pixels)
            && input.len() >= pixels * c
    }

    /// Sums of 16 channels over at most 256 pixels, in halves: channels (0, 2) (1, 3) (4, 6) …
    #[inline(always)]
    pub fn sums(input: &[i8], c: usize, first: usize, pixels: usize) -> [u32; WIDE / 2] {
        let mut sums = [0; WIDE / 2];
        let x = input.as_ptr().wrapping_add(first);
        // SAFETY: `sixteen` has seen to it that 16 bytes at each of `pixels` (not 0) places, `c`
        // apart, are inside `input` and aligned to words, as LDM wants; 8 words are written. The
        // callee keeps the C ABI.
        unsafe { pupil_m4_sums(x, c, pixels, &raw mut sums) }
        sums
    }

    /// Averages of as many channels as the wide kernel takes, from the first on; how many.
    pub fn average(input: &[i8], c: usize, pixels: usize, output: &mut [i8]) -> usize {
        let groups = c / WIDE;
        if groups == 0 || !readable(input, c, 0, pixels) || output.len() < groups * WIDE {
            return 0;
        }
        // SAFETY: as in `sums` for each group of channels; 16 bytes a group are written. The
        // callee keeps the C ABI.
        unsafe {
            let ends = output[..groups * WIDE].as_mut_ptr_range();
            pupil_m4_averages(input.as_ptr(), c, pixels, ends.start, ends.end);
        }
        groups * WIDE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
                sums(&input, c, |first, sums| {
                    for (i, sum) in sums.iter().enumerate() {
                        assert!(found[first + i].is_none_or(|s| s == *sum));
                        found[first + i] = Some(*sum);
                    }
                });
                assert!(found.iter().zip(&expected).all(|(a, b)| *a == Some(*b)));
                let mut y = vec![0; c];
                assert!(average(&input, c, &mut y));
                for (y, sum) in y.iter().zip(&expected) {
                    let exact = f64::from(*sum) / pixels as f64;
                    assert_eq!(f64::from(*y), exact.round(), "{sum} {pixels}");
                }
                assert!(!average(&input[1..], c, &mut y) || c == 1);
                assert!(!average(&input, c, &mut y[1..]));
            }
        }
    }

    #[test]
    fn extreme_sums_fit() {
        for value in [-128, 127] {
            let input = [value; 256 * 17];
            sums(&input, 17, |_, sums| {
                assert!(sums.iter().all(|s| *s == 256 * i32::from(value)))
            });
            let mut y = [0; 16];
            assert!(average(&input[..256 * 16], 16, &mut y));
            assert_eq!(y, [value; 16]);
        }
    }
}
