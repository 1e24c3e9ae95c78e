//! The pair layout of weights: two output channels in every weight word.
//!
//! A halfword is 256 · w1 + w0 of channels c and c + 1. A multiply-accumulate with the halfword
//! gives R = 256 · A1 + A0 (modulo 2^32), one with its sign-extended low byte gives A0; so
//! A1 = (R − A0) / 256, and one unpacking serves two channels. It is exact while 256 · A1 fits in
//! 32 bits, which [`Pairs::check`] proves for each channel.
//!
//! The stream holds a block for every four output channels, in the order in which a kernel reads:
//!
//! | words | what |
//! |---|---|
//! | 4 | s·b0, s·(b0 + 256 b1), s·b2, s·(b2 + 256 b3): folded biases, s = 2 where doubled |
//! | taps, padded to a multiple of 4 | per two taps: a word of channels 0 and 1, one of 2 and 3 |
//! | 12 | per channel: mantissa, shift with flags, constant |
//!
//! Four taps are two steps, taps (0, 2) and (1, 3), as SXTB16 unpacks four bytes. Channels and
//! taps beyond the last are zeros. See `FORMAT.md` for the constants and flags.

use crate::error::LayerFault;
use crate::op::quant::Multiplier;

/// Output channels of a block.
pub const BLOCK: usize = 4;
/// Words before and behind a block's weights.
const HEAD: usize = 4;
const TAIL: usize = 12;
/// Flag beside the last shift of the last full block.
pub const LAST: i32 = 0x100;
/// Flag beside the last shift of a block with fewer than four channels.
pub const PARTIAL: i32 = 0x200;
/// Right shifts that the short requantizations do.
const SHIFTS: core::ops::RangeInclusive<i32> = 1..=22;

/// How a kernel makes int8 of sums. The constants in the stream depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The zero point is the lower clamp, −128: negative values need no exact rounding.
    Relu,
    /// The same with every input value doubled instead of every sum.
    ReluDoubled,
    /// Any zero point.
    General,
    /// Any zero point, then a table.
    Table,
}

impl Mode {
    /// What every sum is multiplied by already.
    pub const fn scale(self) -> i32 {
        if matches!(self, Self::ReluDoubled) {
            2
        } else {
            1
        }
    }

    /// Bits that the second and fourth channel's right shift has more: their kernels shift out
    /// the 256 of the pair here.
    pub const fn extra(self, channel: usize) -> i32 {
        match self {
            Self::Relu if channel % 2 == 1 => 7,
            Self::ReluDoubled if channel % 2 == 1 => 8,
            _ => 0,
        }
    }

    /// Whether the kernels of this mode hold a channel: one of four (`channel`) with this folded bias,
    /// Σ |w| = `sum`, and a factor of `mantissa` and a right shift by `shift`.
    pub fn holds(
        self,
        channel: usize,
        bias: i32,
        sum: u64,
        mantissa: i32,
        shift: i32,
    ) -> Result<(), LayerFault> {
        // The greatest sum, and its greatest value after the first rounding.
        let most = u64::from(bias.unsigned_abs()).saturating_add(sum.saturating_mul(128));
        let limit = match (channel % 2, self.scale()) {
            (0, _) => 1 << 30,
            (_, 1) => 1 << 23,
            _ => 1 << 22,
        };
        if most >= limit {
            return Err(LayerFault::Accumulator);
        }
        if mantissa < 0 || !SHIFTS.contains(&shift) {
            return Err(LayerFault::Multiplier);
        }
        // Values are saturated as 16 bits unless a table follows.
        let value = ((most * u64::from(mantissa.unsigned_abs())) >> 31) + 1;
        if self != Self::Table && (value >> shift) + 257 > i16::MAX as u64 {
            return Err(LayerFault::Accumulator);
        }
        Ok(())
    }

    /// Half of the divisor and the zero point, in units of the value before the shift. Values are
    /// lifted by 128, to be saturated as unsigned bytes.
    pub fn constant(self, channel: usize, shift: i32, zero_point: i32) -> i32 {
        let extra = self.extra(channel);
        let half = 1 << (shift - 1 + extra);
        // What the first rounding adds, where the high multiplication does not round.
        let first = if extra > 0 { 1 << (extra - 1) } else { 0 };
        first + half + ((zero_point + 128) << (shift + extra))
    }
}

/// Taps of a channel in the stream.
pub const fn padded(taps: usize) -> usize {
    taps.next_multiple_of(4)
}

/// Bytes of the stream of `out_ch` channels of `taps` weights.
pub const fn stream_len(taps: u64, out_ch: u64) -> u64 {
    let words = taps
        .next_multiple_of(4)
        .saturating_add((HEAD + TAIL) as u64);
    words
        .saturating_mul(out_ch.div_ceil(BLOCK as u64))
        .saturating_mul(4)
}

/// Scratch bytes of a convolution: two columns of int16, and unless the input's pixels can be read
/// as words (`whole_words`: 1x1 and channels in fours) two columns of int8.
pub const fn conv_scratch(taps: usize, whole_words: bool) -> usize {
    let bytes = if whole_words { 4 } else { 6 };
    bytes * padded(taps)
}

/// Scratch bytes of a dense layer: the input as int16.
pub const fn dense_scratch(taps: usize) -> usize {
    2 * padded(taps)
}

/// Weights in the pair layout, with everything that is needed to read them.
#[derive(Clone, Copy, Debug)]
pub struct Pairs<'a> {
    bytes: &'a [u8],
    /// Weights of a channel.
    pub taps: usize,
    /// Output channels.
    pub out_ch: usize,
    /// Way of the sums to an int8.
    pub mode: Mode,
    zero_point: i32,
}

impl<'a> Pairs<'a> {
    /// Over the stream's bytes; words beyond its end read as 0.
    pub fn new(bytes: &'a [u8], taps: usize, out_ch: usize, mode: Mode, zero_point: i32) -> Self {
        Self {
            bytes,
            taps,
            out_ch,
            mode,
            zero_point,
        }
    }

    /// The stream.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    const fn block_words(&self) -> usize {
        HEAD + padded(self.taps) + TAIL
    }

    fn words(&self, block: usize) -> &'a [[u8; 4]] {
        let words = self.bytes.as_chunks().0;
        let len = self.block_words();
        words.get(block * len..(block + 1) * len).unwrap_or(&[])
    }

    /// Bias (input zero point folded in) and multiplier of channel `c`.
    #[inline(never)]
    pub fn channel(&self, c: usize) -> (i32, Multiplier) {
        let (words, channel) = (self.words(c / BLOCK), c % BLOCK);
        let word = |i: usize| words.get(i).map_or(0, |w| i32::from_le_bytes(*w));
        let even = word(channel & 2);
        let bias = if channel % 2 == 0 {
            even
        } else {
            word(channel).wrapping_sub(even) >> 8
        };
        let tail = HEAD + padded(self.taps) + 3 * channel;
        let shift = (word(tail + 1) & 0xff) - self.mode.extra(channel);
        let multiplier = Multiplier {
            mantissa: word(tail),
            shift: -shift,
        };
        (bias / self.mode.scale(), multiplier)
    }

    /// Both weights of a halfword.
    #[inline(always)]
    fn split(half: i16) -> (i8, i32) {
        let low = half as i8;
        (low, (i32::from(half) - i32::from(low)) >> 8)
    }

    /// Four rows of `taps` weights: the natural layout of block `block`. Shorter `rows` stay as
    /// they are.
    #[inline(never)]
    pub fn unpack(&self, block: usize, rows: &mut [i8]) {
        let taps = self.taps;
        let Some(rows) = rows.get_mut(..BLOCK * taps) else {
            return;
        };
        let weights = self.words(block).get(HEAD..).unwrap_or(&[]);
        let (steps, _) = weights.as_chunks::<2>();
        for (step, pair) in steps.iter().enumerate().take(padded(taps) / 2) {
            let first = step / 2 * 4 + step % 2;
            for (p, &[a, b, c, d]) in pair.iter().enumerate() {
                for (half, tap) in [([a, b], first), ([c, d], first + 2)] {
                    if tap < taps {
                        let (low, high) = Self::split(i16::from_le_bytes(half));
                        rows[2 * p * taps + tap] = low;
                        rows[(2 * p + 1) * taps + tap] = high as i8;
                    }
                }
            }
        }
    }

    /// Σ w x of block `block`'s four channels.
    #[inline(never)]
    pub fn dot(&self, block: usize, x: &[i8]) -> [i32; BLOCK] {
        let weights = self.words(block).get(HEAD..).unwrap_or(&[]);
        let (groups, _) = weights.as_chunks::<4>();
        let mut sums = [0i32; BLOCK];
        for (group, x) in groups.iter().zip(x.chunks(4)) {
            let mut four = [0i32; 4];
            for (four, x) in four.iter_mut().zip(x) {
                *four = i32::from(*x);
            }
            for (i, &[a, b, c, d]) in group.iter().enumerate() {
                let (step, p) = (i / 2, i % 2);
                for (half, x) in [([a, b], four[step]), ([c, d], four[step + 2])] {
                    let (low, high) = Self::split(i16::from_le_bytes(half));
                    sums[2 * p] += i32::from(low) * x;
                    sums[2 * p + 1] += high * x;
                }
            }
        }
        sums
    }

    /// Proves what the kernels rely on: the stream's length, its flags and constants, that padding
    /// is zero, and that no sum of any channel leaves the range of the pair trick or of the short
    /// requantizations.
    pub fn check(&self) -> Result<(), LayerFault> {
        let blocks = self.out_ch.div_ceil(BLOCK);
        if self.bytes.len() as u64 != stream_len(self.taps as u64, self.out_ch as u64) {
            return Err(LayerFault::Weights);
        }
        for block in 0..blocks {
            let words = self.words(block);
            let last_full = (block + 1) * BLOCK <= self.out_ch && (block + 2) * BLOCK > self.out_ch;
            let flags = if (block + 1) * BLOCK > self.out_ch {
                LAST | PARTIAL
            } else if last_full {
                LAST
            } else {
                0
            };
            let mut sums = [0u64; BLOCK];
            let weights = words.get(HEAD..).unwrap_or(&[]);
            let (steps, _) = weights.as_chunks::<2>();
            for (step, pair) in steps.iter().enumerate().take(padded(self.taps) / 2) {
                let first = step / 2 * 4 + step % 2;
                for (p, &[a, b, c, d]) in pair.iter().enumerate() {
                    for (half, tap) in [([a, b], first), ([c, d], first + 2)] {
                        let (low, high) = Self::split(i16::from_le_bytes(half));
                        let fits = high <= 127 && (tap < self.taps || (low, high) == (0, 0));
                        if !fits {
                            return Err(LayerFault::Weights);
                        }
                        sums[2 * p] += u64::from(low.unsigned_abs());
                        sums[2 * p + 1] += u64::from(high.unsigned_abs());
                    }
                }
            }
            for (channel, sum) in sums.into_iter().enumerate() {
                let flags = if channel == BLOCK - 1 { flags } else { 0 };
                self.check_channel(words, channel, sum, flags)?;
            }
        }
        Ok(())
    }

    /// One channel with Σ |w| = `sum`.
    fn check_channel(
        &self,
        words: &[[u8; 4]],
        channel: usize,
        sum: u64,
        flags: i32,
    ) -> Result<(), LayerFault> {
        let word = |i: usize| words.get(i).map_or(0, |w| i32::from_le_bytes(*w));
        let scale = self.mode.scale();
        let even = word(channel & 2);
        let mut bias = even;
        if channel % 2 == 1 {
            let difference = word(channel).wrapping_sub(even);
            if difference & 0xff != 0 {
                return Err(LayerFault::Weights);
            }
            bias = difference >> 8;
        }
        if bias % scale != 0 {
            return Err(LayerFault::Weights);
        }
        let tail = HEAD + padded(self.taps) + 3 * channel;
        let (mantissa, shift) = (word(tail), word(tail + 1).wrapping_sub(flags));
        let shift = shift.wrapping_sub(self.mode.extra(channel));
        self.mode
            .holds(channel, bias / scale, sum, mantissa, shift)?;
        if word(tail + 2) != self.mode.constant(channel, shift, self.zero_point) {
            return Err(LayerFault::Multiplier);
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "pairs_tests.rs"]
mod tests;
