//! Average and maximum over windows, four channels at a time: SXTAB16 adds them, SSUB8 and SEL take
//! the greater ones.
//!
//! An average over the whole image goes to the sums of `sums.rs`. An odd last group of channels
//! begins earlier and computes some channels twice, so that nothing behind a pixel is read.

use super::clamp::clamp;
use super::{Sums, simd};
use crate::kernels::arch::portable::sums;
use crate::op::PoolParams;
use crate::op::shape::Shape;

/// Taps whose sum a half holds.
const TAPS: usize = 256;

/// Average of each window, ties away from zero. False, with the output unchanged, where the kernel
/// does not take the layer: fewer than four channels, more than 256 taps (but for the whole
/// image), or slices that are too short.
pub fn average_pool(p: &PoolParams, input: &[i8], output: &mut [i8]) -> bool {
    let Shape { h, w, c } = p.input;
    let window = &p.window;
    let whole = (p.output.h, p.output.w) == (1, 1)
        && (window.kernel_h, window.kernel_w) == (h, w)
        && (window.pad_top, window.pad_left) == (0, 0);
    let done = if whole {
        let input = input.get(..p.input.len());
        input.is_some_and(|input| sums::average::<Sums>(input, c, output))
    } else {
        window.kernel_h * window.kernel_w <= TAPS
            && windows(p, input, output, [0; 2], add, |[even, odd], taps| {
                let divide = |sum: i32| {
                    let half = if sum > 0 { taps / 2 } else { -(taps / 2) };
                    ((sum + half) / taps) as i8
                };
                sums::halves(even, odd).map(divide)
            })
    };
    finish(p, output, done)
}

/// Greatest value of each window. False, with the output unchanged, where the kernel does not take
/// the layer: fewer than four channels, or slices that are too short.
pub fn max_pool(p: &PoolParams, input: &[i8], output: &mut [i8]) -> bool {
    let least = [0x8080_8080, 0];
    let take = |[most, _]: [u32; 2], x: u32| [simd::greatest(most, x), 0];
    let done = windows(p, input, output, least, take, |[most, _], _| {
        simd::bytes(most)
    });
    finish(p, output, done)
}

fn add([even, odd]: [u32; 2], x: u32) -> [u32; 2] {
    [simd::add_even(even, x), simd::add_odd(odd, x)]
}

#[inline(always)]
fn finish(p: &PoolParams, output: &mut [i8], done: bool) -> bool {
    let act = (p.min.max(-128) as i8, p.max.min(127) as i8);
    if done && act != (i8::MIN, i8::MAX) {
        clamp(act, output.get_mut(..p.output.len()).unwrap_or(&mut []));
    }
    done
}

/// Folds the taps of each window, four channels at a time; `finish` takes the number of taps too.
#[inline(always)]
fn windows(
    p: &PoolParams,
    input: &[i8],
    output: &mut [i8],
    start: [u32; 2],
    fold: impl Fn([u32; 2], u32) -> [u32; 2],
    finish: impl Fn([u32; 2], i32) -> [i8; 4],
) -> bool {
    let Shape { h, w, c } = p.input;
    if c < 4 || p.output.c != c || input.len() < p.input.len() || output.len() < p.output.len() {
        return false;
    }
    let window = &p.window;
    let pixels = output.chunks_exact_mut(c).take(p.output.h * p.output.w);
    for (i, pixel) in pixels.enumerate() {
        let (oy, ox) = (i / p.output.w, i % p.output.w);
        let (rows, columns) = (window.rows(oy, h), window.columns(ox, w));
        let taps = (rows.len() * columns.len()).max(1) as i32;
        let left = (ox * window.stride_w + columns.start).saturating_sub(window.pad_left);
        let top = (oy * window.stride_h + rows.start).saturating_sub(window.pad_top);
        for channel in (0..c).step_by(4) {
            let channel = channel.min(c - 4);
            let mut value = start;
            for y in top..top + rows.len() {
                let first = (y * w + left) * c + channel;
                let row = input.get(first..).unwrap_or(&[]);
                for x in row.chunks(c).take(columns.len()) {
                    if let Some(x) = x.first_chunk() {
                        value = fold(value, simd::word(*x));
                    }
                }
            }
            if let Some(place) = pixel.get_mut(channel..channel + 4) {
                place.copy_from_slice(&finish(value, taps));
            }
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::reference;
    use crate::op::shape::Window;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn pools_equal_the_reference(
            side in (1usize..10, 1usize..10), c in 1usize..20, kernel in (1usize..6, 1usize..6),
            stride in (1usize..4, 1usize..4), same: bool, global: bool, act: (i8, i8), full: bool,
            seed: u32,
        ) {
            let kernel = if global { side } else { (kernel.0.min(side.0), kernel.1.min(side.1)) };
            let stride = (stride.0.min(kernel.0), stride.1.min(kernel.1));
            let input = Shape::new(side.0, side.1, c);
            let mut window = Window {
                kernel_h: kernel.0, kernel_w: kernel.1, stride_h: stride.0, stride_w: stride.1,
                pad_top: 0, pad_left: 0,
            };
            let mut output = Shape::new((side.0 - kernel.0) / stride.0 + 1, (side.1 - kernel.1) / stride.1 + 1, c);
            if same && !global {
                window.pad_top = crate::op::shape::same_padding(side.0, kernel.0, stride.0).0;
                window.pad_left = crate::op::shape::same_padding(side.1, kernel.1, stride.1).0;
                output = Shape::new(side.0.div_ceil(stride.0), side.1.div_ceil(stride.1), c);
            }
            let act = if full { (-128, 127) } else { (act.0.min(act.1), act.0.max(act.1)) };
            let mut state = seed;
            let x: Vec<i8> = (0..input.len()).map(|_| {
                state = state.wrapping_mul(1664525).wrapping_add(1013904223);
                (state >> 24) as i8
            }).collect();
            let p = PoolParams { input, output, window, min: act.0.into(), max: act.1.into() };
            for (run, max) in [(average_pool as fn(&PoolParams, &[i8], &mut [i8]) -> bool, false), (max_pool, true)] {
                let mut y = vec![0; output.len()];
                if run(&p, &x, &mut y) {
                    prop_assert_eq!(y, reference::pool(input, output, &window, act, &x, max).collect::<Vec<_>>());
                } else {
                    prop_assert!(c < 4);
                }
            }
        }
    }
}
