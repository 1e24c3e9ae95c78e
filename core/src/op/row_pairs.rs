//! The row-pair layout of depthwise weights: two rows of a window column in every word.
//!
//! A word holds the upper row's weight in its low half and the lower row's in its high half, to be
//! multiplied with two image rows at once. Weights and bias are multiplied by a power of two, so
//! that a kernel's last shift is the same for all channels, or a doubling.
//!
//! A channel's words, all channels after one another:
//!
//! | form | head | weights (row, column) |
//! |---|---|---|
//! | fast | bias, m, c | as below |
//! | blocks | bias, m, c, shift | 3x3 stride 1: (0, 1) of three columns, (1, 2) of three; 3x3 stride 2: (0, 1) of three columns, row 2 of columns 0 and 1, row 2 of column 2 and 0; 5x5 stride 1: (0, 1) of five columns, (2, 3) and (1, 2) of each of five, (3, 4) of five |
//! | any | bias, m, c, shift | (0, 1) of all columns, (2, 3) …; 0 below the last row |
//!
//! 3x3: 32 to 40 bytes a channel, where int8 weights and a channel record take 21; 5x5: 92 or 96
//! where they take 37.

use crate::error::LayerFault;
use crate::op::quant::Multiplier;
use crate::op::shape::Window;

/// Bits that the last shift of a fast channel drops.
pub const FAST_SHIFT: u32 = 12;

/// Right shifts of channels that round twice.
const SHIFTS: core::ops::RangeInclusive<i32> = 1..=22;

/// The block kernels: each computes two rows by two columns of a channel at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Kernel {
    /// 3x3, stride 1.
    K3S1 {
        /// Whether the output's zero point is its lower clamp, −128, and no table follows.
        fast: bool,
    },
    /// 3x3, stride 2.
    K3S2 {
        /// As above.
        fast: bool,
    },
    /// 5x5, stride 1.
    K5S1 {
        /// As above.
        fast: bool,
    },
}

impl Kernel {
    /// The kernel of a window, if there is a special one.
    pub const fn of(w: &Window, fast: bool) -> Option<Self> {
        match (w.kernel_h, w.kernel_w, w.stride_h, w.stride_w) {
            (3, 3, 1, 1) => Some(Self::K3S1 { fast }),
            (3, 3, 2, 2) => Some(Self::K3S2 { fast }),
            (5, 5, 1, 1) => Some(Self::K5S1 { fast }),
            _ => None,
        }
    }

    /// Whether channels carry no shift of their own.
    pub const fn fast(self) -> bool {
        match self {
            Self::K3S1 { fast } | Self::K3S2 { fast } | Self::K5S1 { fast } => fast,
        }
    }

    /// Words that hold bias, multiplier, addend and, unless fast, shift.
    pub const fn head(self) -> usize {
        if self.fast() { 3 } else { 4 }
    }

    /// Words of a channel.
    pub const fn words(self) -> usize {
        self.head()
            + match self {
                Self::K3S1 { .. } => 6,
                Self::K3S2 { .. } => 5,
                Self::K5S1 { .. } => 20,
            }
    }
}

/// What a layer's words are arranged for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Form {
    /// A block kernel.
    Blocks(Kernel),
    /// Any window.
    Any,
}

impl Form {
    const fn fast(self) -> bool {
        matches!(self, Self::Blocks(kernel) if kernel.fast())
    }

    const fn head(self) -> usize {
        match self {
            Self::Blocks(kernel) => kernel.head(),
            Self::Any => 4,
        }
    }

    /// Words of a channel.
    pub const fn words(self, w: &Window) -> usize {
        match self {
            Self::Blocks(kernel) => kernel.words(),
            Self::Any => 4 + w.kernel_h.div_ceil(2) * w.kernel_w,
        }
    }
}

/// What is the same for all channels of a layer.
#[derive(Clone, Copy, Debug)]
pub struct Claims {
    /// Window.
    pub window: Window,
    /// Zero point of the requantized value.
    pub zero_point: i32,
}

/// Weights in the row-pair layout.
#[derive(Clone, Copy, Debug)]
pub struct RowPairs<'a> {
    words: &'a [[u8; 4]],
    claims: Claims,
    form: Form,
}

impl<'a> RowPairs<'a> {
    /// Over the words' bytes; words beyond their end read as 0.
    pub fn new(bytes: &'a [u8], form: Form, claims: Claims) -> Self {
        Self {
            words: bytes.as_chunks().0,
            claims,
            form,
        }
    }

    /// What the words are arranged for.
    pub fn form(&self) -> Form {
        self.form
    }

    /// All words.
    pub fn words(&self) -> &'a [[u8; 4]] {
        self.words
    }

    fn word(&self, c: usize, i: usize) -> u32 {
        let at = c * self.form.words(&self.claims.window) + i;
        self.words.get(at).map_or(0, |w| u32::from_le_bytes(*w))
    }

    /// What channel `c`'s weights and bias are shifted left by, and its multiplier.
    fn scale(&self, c: usize) -> (u32, Multiplier) {
        let mantissa = self.word(c, 1) as i32;
        let multiplier = |shift| Multiplier { mantissa, shift };
        if mantissa == 0 {
            return (0, multiplier(-1));
        }
        if self.form.fast() {
            // c = 2^11 + 2^(11−e) + z 2^12.
            let last = FAST_SHIFT - 1;
            let z = self.claims.zero_point << FAST_SHIFT;
            let rest = (self.word(c, 2) as i32)
                .wrapping_sub(z)
                .wrapping_sub(1 << last);
            let e = last.saturating_sub(rest.unsigned_abs().checked_ilog2().unwrap_or(0));
            (FAST_SHIFT + 1 - e, multiplier(-(e as i32)))
        } else {
            let shift = self.word(c, 3);
            let (right, left) = (shift & 0xff, shift >> 8 & 0xff);
            if right > 0 {
                (1, multiplier(-(right as i32)))
            } else {
                (1 + left, multiplier(left as i32))
            }
        }
    }

    /// Bias (input zero point folded in) and multiplier of channel `c`.
    pub fn channel(&self, c: usize) -> (i32, Multiplier) {
        let (scale, multiplier) = self.scale(c);
        (self.word(c, 0) as i32 >> scale.min(31), multiplier)
    }

    /// Weight of tap `tap` (row by row) of channel `c`, whose scale is given.
    fn weight(&self, c: usize, scale: u32, tap: usize) -> i8 {
        let columns = self.claims.window.kernel_w;
        let (row, column) = (tap / columns, tap % columns);
        let (word, high) = match self.form {
            Form::Blocks(Kernel::K3S1 { .. }) if row == 2 => (3 + column, true),
            Form::Blocks(Kernel::K3S2 { .. }) if row == 2 => (3 + column / 2, column % 2 == 1),
            Form::Blocks(Kernel::K5S1 { .. }) if row == 4 => (15 + column, true),
            Form::Blocks(Kernel::K5S1 { .. }) if row >= 2 => (5 + 2 * column, row == 3),
            Form::Blocks(_) => (column, row == 1),
            Form::Any => (row / 2 * columns + column, row % 2 == 1),
        };
        let word = self.word(c, self.form.head() + word);
        let half = if high { word >> 16 } else { word };
        (half as i16 >> scale.min(15)) as i8
    }

    /// Weights of channel `c`, row by row, to every `step`th value of `to`, as far as it goes.
    pub fn unpack(&self, c: usize, step: usize, to: &mut [i8]) {
        let (scale, _) = self.scale(c);
        for (tap, to) in to.iter_mut().step_by(step.max(1)).enumerate() {
            *to = self.weight(c, scale, tap);
        }
    }

    /// Proves that the words are those that a packer writes for the channels that they hold: so no
    /// kernel's sum leaves its range, and all kernels read the same weights.
    pub fn check(&self, channels: usize) -> Result<(), LayerFault> {
        let len = self.form.words(&self.claims.window);
        if self.words.len() != channels * len {
            return Err(LayerFault::Weights);
        }
        for c in 0..channels {
            let (scale, _) = self.scale(c);
            let weight = |tap: usize| i32::from(self.weight(c, scale, tap));
            let (bias, multiplier) = self.channel(c);
            let channel = Channel::new(&self.claims, self.form, bias, multiplier, weight)
                .ok_or(LayerFault::Accumulator)?;
            if (0..len).any(|i| channel.word(i, weight) != self.word(c, i)) {
                return Err(LayerFault::Weights);
            }
        }
        Ok(())
    }
}

/// One channel in a form whose claims hold.
pub struct Channel {
    window: Window,
    form: Form,
    /// What weights are multiplied by.
    scale: i32,
    head: [u32; 4],
}

impl Channel {
    /// `weight` is called with the number of the tap, row by row.
    pub fn new(
        claims: &Claims,
        form: Form,
        bias: i32,
        multiplier: Multiplier,
        weight: impl Fn(usize) -> i32,
    ) -> Option<Self> {
        if !multiplier.is_valid() {
            return None;
        }
        let window = claims.window;
        let z = i64::from(claims.zero_point);
        let (mut total, mut greatest) = (0, 0);
        for tap in 0..window.kernel_h * window.kernel_w {
            let w = weight(tap).abs();
            (total, greatest) = (total + i64::from(w), w.max(greatest));
        }
        // No sum, whole or in part, is beyond this.
        let most = i64::from(bias).abs() + 128 * total;
        let (m, e) = (i64::from(multiplier.mantissa), -multiplier.shift);
        // A factor that leaves nothing of any sum is no factor.
        let high = (most * m + (1 << 30)) >> 31;
        let nothing = m == 0 || e > 0 && high < (1i64 << (e.min(32) - 1));
        let made = |scale, head| {
            Some(Self {
                window,
                form,
                scale,
                head,
            })
        };
        if nothing {
            return if form.fast() {
                made(0, [0, 0, (z << FAST_SHIFT) as u32, 0])
            } else {
                made(0, [0, 0, (1 + 2 * z) as u32, 1])
            };
        }
        let (left, addend, shift) = if form.fast() {
            // floor(a m / 2^(31+e) + 2^(−1−e) + 1/2) + z, all times 2^12.
            let last = FAST_SHIFT as i32 - 1;
            if !(1..=last).contains(&e) {
                return None;
            }
            let rest = (1i64 << last) + (1 << (last - e));
            (last + 2 - e, rest + (z << FAST_SHIFT), 0)
        } else if SHIFTS.contains(&e) {
            (1, (1i64 << (e - 1)) + (z << e), e)
        } else if form == Form::Any && (-14..=0).contains(&e) {
            // Left shifts round once: they go into the weights.
            (1 - e, z, -e << 8)
        } else {
            return None;
        };
        // Weights fit their halves; sums, and what is added to their high halves, fit 32 bits.
        let fits = m > 0
            && i64::from(greatest) << left <= i64::from(i16::MAX)
            && most << left < 1 << 31
            && (((most << left) * m) >> 32) + 2 + addend.abs() < 1 << 31;
        if !fits {
            return None;
        }
        let head = [(bias << left) as u32, m as u32, addend as u32, shift as u32];
        made(1 << left, head)
    }

    /// Word `i`.
    pub fn word(&self, i: usize, weight: impl Fn(usize) -> i32) -> u32 {
        let Some(i) = i.checked_sub(self.form.head()) else {
            return self.head.get(i).copied().unwrap_or(0);
        };
        let (rows, columns) = (self.window.kernel_h, self.window.kernel_w);
        let half = |row: usize, column: usize| {
            if row < rows && column < columns {
                (weight(row * columns + column) * self.scale) as u32 & 0xffff
            } else {
                0
            }
        };
        let rows = |row: usize, column: usize| half(row, column) | half(row + 1, column) << 16;
        match self.form {
            Form::Blocks(Kernel::K3S1 { .. }) if i >= 3 => rows(1, i - 3),
            Form::Blocks(Kernel::K3S2 { .. }) if i >= 3 => {
                half(2, 2 * (i - 3)) | half(2, 2 * (i - 3) + 1) << 16
            }
            Form::Blocks(Kernel::K5S1 { .. }) if i >= 15 => rows(3, i - 15),
            Form::Blocks(Kernel::K5S1 { .. }) if i >= 5 => rows(2 - (i - 5) % 2, (i - 5) / 2),
            Form::Blocks(_) => rows(0, i),
            Form::Any => rows(2 * (i / columns), i % columns),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    proptest! {
        #[test]
        fn words_give_back_channels_and_any_change_is_noticed(
            kernel in (1usize..8, 1usize..8), stride in 1usize..3, special in 0usize..4,
            channels in 1usize..5, shift in -13i32..6, zero_point: i8, table: bool, seed: u32,
            change in (0usize..10_000, 0u32..32),
        ) {
            let (kernel, stride) = match special {
                0 => ((3, 3), 1),
                1 => ((3, 3), 2),
                2 => ((5, 5), 1),
                _ => (kernel, stride),
            };
            let window = Window {
                kernel_h: kernel.0, kernel_w: kernel.1, stride_h: stride, stride_w: stride,
                pad_top: 0, pad_left: 0,
            };
            let mut state = seed;
            let mut next = || {
                state = state.wrapping_mul(1664525).wrapping_add(1013904223);
                state >> 8
            };
            let taps = kernel.0 * kernel.1;
            let weights: Vec<u8> = (0..taps * channels)
                .map(|_| (next() as i8).max(-127) as u8)
                .collect();
            let list: Vec<(i32, Multiplier)> = (0..channels)
                .map(|_| (next() as i32 % 9999, Multiplier { mantissa: (1 << 30) + next() as i32, shift }))
                .collect();
            let zero_point = if seed % 2 == 0 { -128 } else { i32::from(zero_point) };
            let claims = Claims { window, zero_point };
            let Some((form, mut bytes)) = RowPairs::encode(&claims, &weights, &list, -128, table) else {
                return Ok(());
            };
            let packed = RowPairs::new(&bytes, form, claims);
            prop_assert_eq!(packed.check(channels), Ok(()));
            for (c, channel) in list.iter().enumerate() {
                if packed.word(c, 1) == 0 {
                    continue; // nothing of its sums is left
                }
                prop_assert_eq!(packed.channel(c), *channel);
                let mut w = std::vec![0; taps];
                packed.unpack(c, 1, &mut w);
                let natural = weights.iter().skip(c).step_by(channels);
                prop_assert!(w.iter().zip(natural).all(|(a, b)| *a as u8 == *b));
            }
            // A changed word is refused, or it means another channel that a packer could write.
            let at = change.0 % bytes.len();
            bytes[at] ^= 1 << (change.1 % 8);
            let packed = RowPairs::new(&bytes, form, claims);
            if packed.check(channels).is_ok() {
                let mut again = Vec::new();
                for c in 0..channels {
                    let mut w = std::vec![0; taps];
                    packed.unpack(c, 1, &mut w);
                    let w: Vec<u8> = w.iter().map(|x| *x as u8).collect();
                    let list = [packed.channel(c)];
                    again.extend(RowPairs::encode_as(form, &claims, &w, &list).unwrap());
                }
                prop_assert_eq!(again, bytes);
            }
        }
    }
}
