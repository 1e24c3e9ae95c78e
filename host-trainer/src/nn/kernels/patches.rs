//! The pixels under a convolution kernel as rows (im2col) of one NHWC sample, SAME padding, and
//! back: rows ordered (ky, kx, channel).

use super::depthwise::Window;

/// Rows `[out pixels, kernel*kernel*c]` of one sample. `padded` holds the window's padded input
/// and has zeros around it.
pub(crate) fn gather(window: &Window, x: &[f32], padded: &mut [f32], rows: &mut [f32]) {
    let runs = window.padded_runs();
    runs.copy_in(x, padded);
    for_runs(window, |row, pixel, len| {
        rows[row..row + len].copy_from_slice(&padded[pixel..pixel + len]);
    });
}

/// Gradient of one sample's input from the gradient of its rows. `padded` is overwritten.
pub(crate) fn scatter(window: &Window, rows: &[f32], padded: &mut [f32], dx: &mut [f32]) {
    padded.fill(0.0);
    for_runs(window, |row, pixel, len| {
        for (to, from) in padded[pixel..pixel + len]
            .iter_mut()
            .zip(&rows[row..row + len])
        {
            *to += from;
        }
    });
    window.padded_runs().copy_out(padded, dx);
}

/// Calls `f(place in the rows, place in the padded input, numbers)` for each kernel row of each
/// output pixel, in order.
fn for_runs(window: &Window, mut f: impl FnMut(usize, usize, usize)) {
    let stride = window.padded_runs().stride;
    let len = window.kernel * window.c;
    let mut row = 0;
    for oy in 0..window.output.0 {
        for ox in 0..window.output.1 {
            for ky in 0..window.kernel {
                let pixel = (oy * window.stride + ky) * stride + ox * window.stride * window.c;
                f(row, pixel, len);
                row += len;
            }
        }
    }
}
