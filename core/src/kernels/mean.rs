//! Mean over height and width with a scale of its own (TensorFlow Lite's MEAN): what global
//! average pooling converts to.

use super::Output;
use super::m4::sums::{is_wide, sixteen, sums};
use super::operators::{Every, OperatorSet, Operators};
use crate::quant::Multiplier;
use crate::shape::Shape;

/// Parameters of a mean.
#[derive(Clone, Copy, Debug)]
pub struct MeanParams<'a> {
    /// Input map; the output is 1 x 1 x c.
    pub input: Shape,
    /// Zero point of the input.
    pub input_zero_point: i32,
    /// Input scale over output scale, divided by the number of pixels.
    pub multiplier: Multiplier,
    /// Way of a sum to an int8.
    pub out: Output<'a>,
}

/// The multiplier of a mean over `pixels` values, divided as the reference does: as an integer,
/// with as many extra bits as fit.
#[cfg(feature = "std")]
pub fn mean_multiplier(real: f64, pixels: usize) -> Multiplier {
    let whole = Multiplier::from_real(real);
    let extra = (pixels.max(1).ilog2() as i32)
        .min(32)
        .min(31 + whole.shift)
        .max(0);
    let mantissa = (i64::from(whole.mantissa) << extra) / pixels.max(1) as i64;
    Multiplier {
        mantissa: mantissa as i32,
        shift: whole.shift - extra,
    }
}

/// `input [h, w, c]` to `output [c]`. False, with the output unchanged, where a slice is too short.
#[must_use]
pub fn mean(p: &MeanParams<'_>, input: &[i8], output: &mut [i8]) -> bool {
    mean_linked::<Every>(p, input, output)
}

/// [`mean`] in a program that links the operators `O` only.
#[inline(never)]
#[must_use]
pub(super) fn mean_linked<O: Operators>(
    p: &MeanParams<'_>,
    input: &[i8],
    output: &mut [i8],
) -> bool {
    let c = p.input.c;
    let (Some(input), Some(output)) = (input.get(..p.input.len()), output.get_mut(..c)) else {
        return false;
    };
    let offset = p.input_zero_point * (p.input.h * p.input.w) as i32;
    let mut finish = |first: usize, sums: &[i32]| {
        for (y, sum) in output.iter_mut().skip(first).zip(sums) {
            *y = p.out.finish(sum - offset, p.multiplier);
        }
    };
    if !is_wide(input, c) {
        if !O::SET.has(OperatorSet::MEAN_ODD) {
            return false;
        }
        sums(input, c, finish);
    } else {
        // The last sixteen begin earlier where they are not whole: some come twice.
        let mut channel = 0;
        while channel < c {
            let first = channel.min(c.saturating_sub(16));
            finish(first, &sixteen(input, c, first));
            channel += 16;
        }
    }
    true
}

/// Adds the channels' sums of `input`, some rows of the map, to `sums [c]`: little-endian i32. False
/// where there are fewer sums than channels.
#[inline(never)]
#[must_use]
pub fn add_rows(p: &MeanParams<'_>, input: &[i8], totals: &mut [i8]) -> bool {
    let c = p.input.c;
    let (totals, _) = totals.as_chunks_mut::<4>();
    if c == 0 || totals.len() < c {
        return false;
    }
    let mut done = 0;
    sums(input, c, |first, sums| {
        // Channels that come again have been added.
        let (old, end) = (done - first.min(done), first + sums.len());
        let totals = totals.get_mut(first + old..end).unwrap_or(&mut []);
        for (total, sum) in totals.iter_mut().zip(sums.iter().skip(old)) {
            let before = i32::from_le_bytes(total.map(|b| b as u8));
            *total = before.wrapping_add(*sum).to_le_bytes().map(|b| b as i8);
        }
        done = done.max(end);
    });
    true
}

/// The mean of the map whose channels' sums are `totals`. False where there are fewer of them, or of
/// outputs, than channels.
#[inline(never)]
#[must_use]
pub fn finish(p: &MeanParams<'_>, totals: &[i8], output: &mut [i8]) -> bool {
    let offset = p.input_zero_point * (p.input.h * p.input.w) as i32;
    let (totals, _) = totals.as_chunks::<4>();
    if totals.len() < p.input.c || output.len() < p.input.c {
        return false;
    }
    for (y, total) in output.iter_mut().zip(totals).take(p.input.c) {
        let sum = i32::from_le_bytes(total.map(|b| b as u8));
        *y = p.out.finish(sum.wrapping_sub(offset), p.multiplier);
    }
    true
}
