//! Average and maximum over windows; scale and zero point stay as they are.

use crate::op::PoolParams;
use crate::op::shape::Shape;

/// Average of each window, ties away from zero (TensorFlow Lite's AVERAGE_POOL_2D). False, with the
/// output unchanged, where a slice is too short.
#[must_use]
pub fn average_pool(p: &PoolParams, input: &[i8], output: &mut [i8]) -> bool {
    pool(
        p,
        input,
        output,
        0,
        |sum, x| sum + x,
        |sum, n| {
            if sum > 0 {
                (sum + n / 2) / n
            } else {
                (sum - n / 2) / n
            }
        },
    )
}

/// Greatest value of each window (TensorFlow Lite's MAX_POOL_2D). False, with the output unchanged,
/// where a slice is too short.
#[must_use]
pub fn max_pool(p: &PoolParams, input: &[i8], output: &mut [i8]) -> bool {
    pool(
        p,
        input,
        output,
        -128,
        |most: i32, x| most.max(x),
        |most, _| most,
    )
}

#[inline(always)]
fn pool(
    p: &PoolParams,
    input: &[i8],
    output: &mut [i8],
    start: i32,
    fold: impl Fn(i32, i32) -> i32,
    finish: impl Fn(i32, i32) -> i32,
) -> bool {
    let Shape { h, w, c } = p.input;
    if input.len() < p.input.len() || output.len() < p.output.len() || c == 0 {
        return false;
    }
    let window = &p.window;
    for (i, pixel) in output
        .chunks_exact_mut(c)
        .enumerate()
        .take(p.output.h * p.output.w)
    {
        let (oy, ox) = (i / p.output.w, i % p.output.w);
        let (rows, columns) = (window.rows(oy, h), window.columns(ox, w));
        let count = (rows.len() * columns.len()).max(1) as i32;
        for (channel, y) in pixel.iter_mut().enumerate() {
            let mut value = start;
            for ky in rows.clone() {
                let iy = oy * window.stride_h + ky - window.pad_top;
                for kx in columns.clone() {
                    let ix = ox * window.stride_w + kx - window.pad_left;
                    value = fold(value, i32::from(input[(iy * w + ix) * c + channel]));
                }
            }
            *y = finish(value, count).max(p.min).min(p.max) as i8;
        }
    }
    true
}
