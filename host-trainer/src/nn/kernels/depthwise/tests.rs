//! Every window against sums in f64, written down tap by tap.

use super::{Window, forward, input_gradient, turned, weight_gradient};
use crate::nn::kernels::testing::{numbers, with_every_vector};

/// Sums of one window: y, dx, dw.
fn slow(g: &Window, x: &[f32], w: &[f32], dy: &[f32]) -> [Vec<f64>; 3] {
    let (c, k) = (g.c, g.kernel);
    let mut y = vec![0.0; g.output_len()];
    let mut dx = vec![0.0; g.input_len()];
    let mut dw = vec![0.0; w.len()];
    for oy in 0..g.output.0 {
        for ox in 0..g.output.1 {
            for ky in 0..k {
                for kx in 0..k {
                    let iy = (oy * g.stride + ky).wrapping_sub(g.before.0);
                    let ix = (ox * g.stride + kx).wrapping_sub(g.before.1);
                    if iy >= g.input.0 || ix >= g.input.1 {
                        continue;
                    }
                    for ch in 0..c {
                        let o = (oy * g.output.1 + ox) * c + ch;
                        let i = (iy * g.input.1 + ix) * c + ch;
                        let t = (ky * k + kx) * c + ch;
                        y[o] += f64::from(x[i]) * f64::from(w[t]);
                        dx[i] += f64::from(dy[o]) * f64::from(w[t]);
                        dw[t] += f64::from(dy[o]) * f64::from(x[i]);
                    }
                }
            }
        }
    }
    [y, dx, dw]
}

fn close(got: &[f32], exact: &[f64], what: &str, g: &Window) {
    for (i, (got, exact)) in got.iter().zip(exact).enumerate() {
        // 200 products of numbers below 1, added in f32.
        assert!(
            (f64::from(*got) - exact).abs() < 2e-5,
            "{what} {i} of {g:?}: {got} {exact}"
        );
    }
}

#[test]
fn every_window_matches_sums_in_f64() {
    with_every_vector(|| {
        for kernel in [1, 2, 3, 4, 5, 7, 9] {
            for stride in [1, 2, 3] {
                for (input, c) in [
                    ((9, 13), 8),
                    ((6, 5), 19),
                    ((1, 1), 3),
                    ((4, 11), 40),
                    ((13, 2), 16),
                ] {
                    let g = Window::same(input, c, kernel, stride);
                    let x = numbers(g.input_len(), 1);
                    let w = numbers(kernel * kernel * c, 2);
                    let dy = numbers(g.output_len(), 3);
                    let [want_y, want_dx, want_dw] = slow(&g, &x, &w, &dy);
                    let mut padded = vec![0.0; g.padded_len()];
                    g.padded_runs().copy_in(&x, &mut padded);
                    let mut around = vec![0.0; g.surrounded_len()];
                    g.surrounded_runs().copy_in(&dy, &mut around);
                    let mut y = vec![f32::NAN; g.output_len()];
                    forward(&g, &padded, &w, &mut y);
                    close(&y, &want_y, "y", &g);
                    let mut dx = vec![f32::NAN; g.input_len()];
                    input_gradient(&g, &around, &turned(&w, c), &mut dx);
                    close(&dx, &want_dx, "dx", &g);
                    let mut dw = vec![0.0; w.len()];
                    weight_gradient(&g, &padded, &around, &mut dw);
                    close(&dw, &want_dw, "dw", &g);
                }
            }
        }
    });
}
