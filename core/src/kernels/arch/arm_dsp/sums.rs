//! Sums of channels over pixels: sixteen channels at a time, one LDM of four words, eight SXTAB16 and
//! an addition a pixel.
//!
//! Registers: r0 pixels, r1 channels, r2–r5 a pixel, r6–r12 and lr sums of channels (0, 2)
//! (1, 3) (4, 6) …: 14. End, output and the return address are on the stack.
#![allow(unsafe_code)]

use core::arch::global_asm;

use super::{Dsp, simd};
use crate::kernels::arch::portable::lanes::Lanes;
use crate::kernels::arch::portable::sums::{PIXELS, WIDE};

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

impl Lanes for Dsp {
    #[inline(always)]
    fn add_even(sums: u32, x: u32) -> u32 {
        simd::add_even(sums, x)
    }

    #[inline(always)]
    fn add_odd(sums: u32, x: u32) -> u32 {
        simd::add_odd(sums, x)
    }

    #[inline(always)]
    fn wide_sums(input: &[i8], c: usize, first: usize, pixels: usize) -> [u32; WIDE / 2] {
        let mut sums = [0; WIDE / 2];
        let x = input.as_ptr().wrapping_add(first);
        // SAFETY: `sixteen` has seen to it that 16 bytes at each of `pixels` (not 0) places, `c`
        // apart, are inside `input` and aligned to words, as LDM wants; 8 words are written. The
        // callee keeps the C ABI.
        unsafe { pupil_m4_sums(x, c, pixels, &raw mut sums) }
        sums
    }

    fn wide_average(input: &[i8], c: usize, pixels: usize, output: &mut [i8]) -> usize {
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
