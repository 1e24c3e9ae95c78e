//! Packs a depthwise layer for the block kernels, and proves that their arithmetic is exact for
//! every channel. Host only.
//!
//! A channel's parameters are words: bias, multiplier, addend, (shift,) then pair words of
//! weights in the order that `asm.rs` reads them. 3x3: 36 to 40 bytes a channel, where int8
//! weights and a channel record take 21; 5x5: 92 to 96 where they take 37.

use std::vec::Vec;

use super::Form;
use super::layout::{FAST_SHIFT, Kernel};
use crate::quant::Multiplier;
use crate::shape::Window;

/// A depthwise layer before packing.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// Window.
    pub window: Window,
    /// int8 as bytes, `[kh][kw][out_ch]`.
    pub weights: &'a [u8],
    /// Bias (input zero point folded in) and multiplier of each output channel.
    pub channels: &'a [(i32, Multiplier)],
    /// Zero point of the requantized value.
    pub zero_point: i32,
    /// Lower clamp.
    pub min: i32,
    /// Whether a table follows.
    pub table: bool,
}

/// The fastest form that is exact for all channels, with the parameters; none if no form is: then
/// the portable kernel must run the layer.
pub fn pack(source: &Source<'_>) -> Option<(Form, Vec<u32>)> {
    let floor = source.zero_point == -128 && source.min == -128 && !source.table;
    let fast = Kernel::of(&source.window, true).filter(|_| floor);
    let away = Kernel::of(&source.window, false);
    let forms = [fast, away].map(|kernel| kernel.map(Form::Blocks));
    forms
        .into_iter()
        .chain([Some(Form::Any)])
        .flatten()
        .find_map(|form| Some((form, parameters(source, form)?)))
}

/// The parameters of all channels in this form, if it is exact for them.
pub fn parameters(source: &Source<'_>, form: Form) -> Option<Vec<u32>> {
    let out_ch = source.channels.len();
    let mut words = Vec::new();
    for (o, (bias, multiplier)) in source.channels.iter().enumerate() {
        let weight = |row: usize, column: usize| {
            let (w, rows) = (&source.window, source.window.kernel_h);
            let tap = row * w.kernel_w + column;
            let byte = source.weights.get(tap * out_ch + o).filter(|_| row < rows);
            byte.map_or(0, |b| i32::from(*b as i8))
        };
        let channel = Channel::new(source, *bias, *multiplier, weight, form)?;
        words.extend(channel.head);
        let pair = |a: i32, b: i32| {
            let half = |w: i32| i32::from(i16::try_from(w * channel.scale).unwrap_or(0)) as u32;
            half(a) & 0xffff | half(b) << 16
        };
        let w = weight;
        let columns = 0..source.window.kernel_w;
        match form {
            Form::Blocks(Kernel::K3S1 { .. }) => {
                words.extend(columns.clone().map(|x| pair(w(0, x), w(1, x))));
                words.extend(columns.map(|x| pair(w(1, x), w(2, x))));
            }
            Form::Blocks(Kernel::K3S2 { .. }) => {
                words.extend(columns.map(|x| pair(w(0, x), w(1, x))));
                words.extend([pair(w(2, 0), w(2, 1)), pair(w(2, 2), 0)]);
            }
            Form::Blocks(Kernel::K5S1 { .. }) => {
                words.extend(columns.clone().map(|x| pair(w(0, x), w(1, x))));
                let middle = |x| [pair(w(2, x), w(3, x)), pair(w(1, x), w(2, x))];
                words.extend(columns.clone().flat_map(middle));
                words.extend(columns.map(|x| pair(w(3, x), w(4, x))));
            }
            Form::Any => {
                for row in (0..source.window.kernel_h).step_by(2) {
                    words.extend(columns.clone().map(|x| pair(w(row, x), w(row + 1, x))));
                }
            }
        }
    }
    Some(words)
}

/// One channel's bias, multiplier, addend and shift, and what its weights are multiplied by.
struct Channel {
    scale: i32,
    head: Vec<u32>,
}

impl Channel {
    fn new(
        source: &Source<'_>,
        bias: i32,
        multiplier: Multiplier,
        weight: impl Fn(usize, usize) -> i32,
        form: Form,
    ) -> Option<Self> {
        let Window {
            kernel_h, kernel_w, ..
        } = source.window;
        let taps = || (0..kernel_h * kernel_w).map(|t| weight(t / kernel_w, t % kernel_w));
        let total: i64 = taps().map(|w| i64::from(w.abs())).sum();
        // No sum, whole or in part, is beyond this.
        let most = i64::from(bias).abs() + 128 * total;
        let greatest = taps().map(i32::abs).max().unwrap_or(0);
        let Multiplier { mantissa, shift } = multiplier;
        let mut m = i64::from(mantissa);
        // A factor that leaves nothing of any sum is no factor.
        let high = (most * m + (1 << 30)) >> 31;
        if m == 0 || shift < 0 && high < (1i64 << (-shift - 1)) {
            m = 0;
        }
        let fast = matches!(form, Form::Blocks(kernel) if kernel.fast());
        let z = i64::from(source.zero_point);
        if m == 0 {
            let head = if fast {
                std::vec![0, 0, (z << FAST_SHIFT) as u32]
            } else {
                std::vec![0, 0, (1 + 2 * z) as u32, 1]
            };
            return Some(Self { scale: 0, head });
        }
        let e = -shift;
        let (left, addend) = if fast {
            // floor(a m / 2^(31+e) + 2^(−1−e) + 1/2) + z; see `asm.rs`.
            let last = FAST_SHIFT as i32;
            if !(1..last).contains(&e) {
                return None;
            }
            let rest = (1i64 << (last - 1)) + (1 << (last - 1 - e));
            (last + 1 - e, rest + (z << FAST_SHIFT))
        } else if e >= 1 {
            if e > 22 {
                return None;
            }
            (1, (1i64 << (e - 1)) + (z << e))
        } else if form == Form::Any {
            // Left shifts round once: they go into the weights.
            (1 + shift, z)
        } else {
            return None;
        };
        // Weights fit their halves, sums and what SMMLA adds fit 32 bits.
        let fits = left <= 20
            && i64::from(greatest) << left <= i64::from(i16::MAX)
            && most << left < 1 << 31
            && (((most << left) * m) >> 32) + 1 + addend.abs() + 1 < 1 << 31;
        if !fits {
            return None;
        }
        let mut head = std::vec![(bias << left) as u32, m as u32, addend as u32];
        if !fast {
            head.push(e.max(0) as u32);
        }
        Some(Self {
            scale: 1 << left,
            head,
        })
    }
}
