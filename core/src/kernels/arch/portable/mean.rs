//! Mean over height and width with a scale of its own (TensorFlow Lite's MEAN): what global
//! average pooling converts to.

use super::lanes::Lanes;
use super::sums::{is_wide, sixteen, sums};
use crate::kernels::{OperatorSet, Operators};
use crate::op::MeanParams;

/// `input [h, w, c]` to `output [c]`. False, with the output unchanged, where a slice is too short.
#[inline(never)]
#[must_use]
pub fn mean<O: Operators, L: Lanes>(p: &MeanParams<'_>, input: &[i8], output: &mut [i8]) -> bool {
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
        sums::<L>(input, c, finish);
    } else {
        // The last sixteen begin earlier where they are not whole: some come twice.
        let mut channel = 0;
        while channel < c {
            let first = channel.min(c.saturating_sub(16));
            finish(first, &sixteen::<L>(input, c, first));
            channel += 16;
        }
    }
    true
}

/// Adds the channels' sums of `input`, some rows of the map, to `sums [c]`: little-endian i32. False
/// where there are fewer sums than channels.
#[inline(never)]
#[must_use]
pub fn add_rows<L: Lanes>(p: &MeanParams<'_>, input: &[i8], totals: &mut [i8]) -> bool {
    let c = p.input.c;
    let (totals, _) = totals.as_chunks_mut::<4>();
    if c == 0 || totals.len() < c {
        return false;
    }
    let mut done = 0;
    sums::<L>(input, c, |first, sums| {
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
