//! Encodes weights in the pair layout of [`pupil_core::op::pairs`].

use pupil_core::error::LayerFault;
use pupil_core::op::pairs::{BLOCK, LAST, Mode, PARTIAL, Pairs, padded};
use pupil_core::op::quant::Multiplier;

/// Writes the stream of natural weights `[out_ch][taps]`. Everything that is asked for is checked
/// before it is written, and read back afterwards.
///
/// # Errors
/// A weight of −128, a shift that is no division by 2 to 2^22, or sums too great for the
/// layout.
pub fn encode(
    weights: &[u8],
    taps: usize,
    channels: &[(i32, Multiplier)],
    mode: Mode,
    zero_point: i32,
) -> Result<Vec<u8>, LayerFault> {
    let out_ch = channels.len();
    let weight = |c: usize, tap: usize| match weights.get(c * taps + tap) {
        Some(w) if c < out_ch && tap < taps => i32::from(*w as i8),
        _ => 0,
    };
    if weights.len() != taps * out_ch || weights.iter().any(|w| *w as i8 == -128) {
        return Err(LayerFault::Weights);
    }
    // A zero factor may have any shift.
    let shift = |m: &Multiplier| if m.mantissa == 0 { 1 } else { -m.shift };
    for (c, (bias, m)) in channels.iter().enumerate() {
        if !m.is_valid() {
            return Err(LayerFault::Multiplier);
        }
        let row = weights.get(c * taps..(c + 1) * taps).unwrap_or(&[]);
        let sum = row.iter().map(|w| u64::from((*w as i8).unsigned_abs()));
        mode.holds(c % BLOCK, *bias, sum.sum(), m.mantissa, shift(m))?;
    }
    let scale = mode.scale();
    let mut words = Vec::new();
    for first in (0..out_ch).step_by(BLOCK) {
        let bias = |c: usize| channels.get(c).map_or(0, |(bias, _)| *bias);
        for c in [first, first + 2] {
            let even = bias(c).wrapping_mul(scale);
            words.push(even);
            words.push(even.wrapping_add(bias(c + 1).wrapping_mul(scale) << 8));
        }
        for step in 0..padded(taps) / 2 {
            let tap = step / 2 * 4 + step % 2;
            for c in [first, first + 2] {
                let half = |tap: usize| (256 * weight(c + 1, tap) + weight(c, tap)) as u16;
                words.push((u32::from(half(tap)) | u32::from(half(tap + 2)) << 16) as i32);
            }
        }
        let flags = match out_ch - first {
            1..BLOCK => LAST | PARTIAL,
            BLOCK..8 => LAST,
            _ => 0,
        };
        for channel in 0..BLOCK {
            let (_, m) = channels.get(first + channel).copied().unwrap_or_default();
            let shift = shift(&m);
            words.push(m.mantissa);
            let flags = if channel == BLOCK - 1 { flags } else { 0 };
            words.push((shift + mode.extra(channel)) | flags);
            words.push(mode.constant(channel, shift, zero_point));
        }
    }
    let bytes: Vec<u8> = words.into_iter().flat_map(i32::to_le_bytes).collect();
    let written = Pairs::new(&bytes, taps, out_ch, mode, zero_point);
    written.check()?;
    let same = channels.iter().enumerate().all(|(c, (bias, m))| {
        let (found, factor) = written.channel(c);
        (found, factor.mantissa, -factor.shift) == (*bias, m.mantissa, shift(m))
    });
    if same {
        Ok(bytes)
    } else {
        Err(LayerFault::Weights)
    }
}
