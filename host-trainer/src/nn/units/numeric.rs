//! Gradients of the units against central differences of their forward functions in f64, written
//! out as the papers' formulas: a shadow that shares no code with what it checks.

use super::ConvNorm;
use super::conv;
use super::mbconv::{self, PARAMETERS, Parameters};
use crate::nn::activation::Activation;
use crate::nn::kernels::depthwise::Window;
use crate::nn::kernels::testing::numbers;

const EPSILON: f64 = 1e-3;

/// Non-linearity in f64.
fn act(kind: Activation, z: f64) -> f64 {
    match kind {
        Activation::Linear => z,
        Activation::Relu => z.max(0.0),
        Activation::Relu6 => z.clamp(0.0, 6.0),
        Activation::Silu => z / (1.0 + (-z).exp()),
        Activation::HardSwish => z * (z + 3.0).clamp(0.0, 6.0) / 6.0,
        Activation::Sigmoid => 1.0 / (1.0 + (-z).exp()),
        Activation::HardSigmoid => (z + 3.0).clamp(0.0, 6.0) / 6.0,
    }
}

/// Batch norm of `x [rows, c]` by its own statistics, then the non-linearity.
fn norm_act(x: &[f64], gamma: &[f64], beta: &[f64], kind: Activation) -> Vec<f64> {
    let c = gamma.len();
    let rows = (x.len() / c) as f64;
    let mut y = vec![0.0; x.len()];
    for i in 0..c {
        let column = || x.iter().skip(i).step_by(c);
        let mean = column().sum::<f64>() / rows;
        let variance = column().map(|v| (v - mean).powi(2)).sum::<f64>() / rows;
        for (y, x) in y.iter_mut().skip(i).step_by(c).zip(column()) {
            let z = (x - mean) / (variance + EPSILON).sqrt() * gamma[i] + beta[i];
            *y = act(kind, z);
        }
    }
    y
}

/// `x [rows, k]` times `w [k, n]`.
fn product(x: &[f64], w: &[f64], n: usize) -> Vec<f64> {
    let k = w.len() / n;
    x.chunks_exact(k)
        .flat_map(|x| (0..n).map(|j| (0..k).map(|p| x[p] * w[p * n + j]).sum()))
        .collect()
}

/// Each pixel's window of a batch of maps, as rows `[taps, c]` of (tap, channel).
fn windows(g: &Window, n: usize, x: &[f64]) -> Vec<Vec<f64>> {
    let (h, w) = g.input;
    let mut all = Vec::new();
    for s in 0..n {
        for oy in 0..g.output.0 {
            for ox in 0..g.output.1 {
                let mut taps = Vec::new();
                for ky in 0..g.kernel {
                    for kx in 0..g.kernel {
                        let y = (oy * g.stride + ky) as isize - g.before.0 as isize;
                        let x0 = (ox * g.stride + kx) as isize - g.before.1 as isize;
                        let inside = (0..h as isize).contains(&y) && (0..w as isize).contains(&x0);
                        for c in 0..g.c {
                            let at = ((s * h) as isize + y) * w as isize + x0;
                            taps.push(if inside {
                                x[at as usize * g.c + c]
                            } else {
                                0.0
                            });
                        }
                    }
                }
                all.push(taps);
            }
        }
    }
    all
}

/// Convolution, batch norm, activation and maybe the mean over pixels.
fn conv_shadow(shape: &conv::Shape, x: &[f64], w: &[Vec<f64>]) -> Vec<f64> {
    let rows: Vec<f64> = windows(&shape.window, shape.n, x).concat();
    let y = norm_act(
        &product(&rows, &w[0], shape.out_ch),
        &w[1],
        &w[2],
        shape.act,
    );
    if shape.pool {
        means(&y, shape.n, shape.out_ch)
    } else {
        y
    }
}

/// Mean over the pixels of each sample.
fn means(x: &[f64], n: usize, c: usize) -> Vec<f64> {
    let pixels = x.len() / n / c;
    x.chunks_exact(pixels * c)
        .flat_map(|x| (0..c).map(move |i| x.iter().skip(i).step_by(c).sum::<f64>() / pixels as f64))
        .collect()
}

/// A block in training, parameters in the order of `Parameters::into_array`.
fn block_shadow(shape: &mbconv::Shape, x: &[f64], w: &[Vec<f64>], keep: &[f32]) -> Vec<f64> {
    let mid = shape.window.c;
    let e = if shape.expand {
        norm_act(&product(x, &w[0], mid), &w[1], &w[2], shape.act)
    } else {
        x.to_vec()
    };
    let d: Vec<f64> = windows(&shape.window, shape.n, &e)
        .iter()
        .flat_map(|taps| {
            (0..mid).map(|c| {
                let pairs = taps
                    .iter()
                    .skip(c)
                    .step_by(mid)
                    .zip(w[3].iter().skip(c).step_by(mid));
                pairs.map(|(x, w)| x * w).sum()
            })
        })
        .collect();
    let mut d = norm_act(&d, &w[4], &w[5], shape.act);
    if shape.squeezed_ch > 0 {
        let z = means(&d, shape.n, mid);
        let biased = |x: Vec<f64>, b: &[f64], kind| -> Vec<f64> {
            x.iter()
                .zip(b.iter().cycle())
                .map(|(x, b)| act(kind, x + b))
                .collect()
        };
        let hidden = biased(product(&z, &w[6], shape.squeezed_ch), &w[7], shape.act);
        let gates = biased(product(&hidden, &w[8], mid), &w[9], Activation::Sigmoid);
        let pixels = d.len() / shape.n / mid;
        for (i, d) in d.iter_mut().enumerate() {
            *d *= gates[i / (pixels * mid) * mid + i % mid];
        }
    }
    let linear = Activation::Linear;
    let mut y = norm_act(&product(&d, &w[10], shape.out_ch), &w[11], &w[12], linear);
    let len = y.len() / shape.n;
    for (i, y) in y.iter_mut().enumerate() {
        if let Some(factor) = keep.get(i / len) {
            *y *= f64::from(*factor);
        }
        if shape.residual {
            *y += x[i];
        }
    }
    y
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|v| f64::from(*v)).collect()
}

/// Compares `gradients[i]` with central differences of Σ weight y along `inputs[i]`, at up to
/// nine places of each.
fn check(
    name: &str,
    inputs: &[Vec<f32>],
    gradients: &[Vec<f32>],
    weights: &[f32],
    function: impl Fn(&[Vec<f64>]) -> Vec<f64>,
) {
    let loss = |inputs: &[Vec<f64>]| -> f64 {
        let y = function(inputs);
        assert_eq!(y.len(), weights.len(), "{name}");
        y.iter().zip(weights).map(|(y, w)| y * f64::from(*w)).sum()
    };
    let mut point: Vec<Vec<f64>> = inputs.iter().map(|v| wide(v)).collect();
    for (i, gradient) in gradients.iter().enumerate() {
        assert_eq!(gradient.len(), inputs[i].len(), "{name}, input {i}");
        let largest = gradient.iter().fold(0.05f32, |m, g| m.max(g.abs()));
        for j in (0..gradient.len()).step_by(gradient.len().div_ceil(9).max(1)) {
            let h = 1e-5;
            let old = point[i][j];
            point[i][j] = old + h;
            let above = loss(&point);
            point[i][j] = old - h;
            let below = loss(&point);
            point[i][j] = old;
            let numeric = (above - below) / (2.0 * h);
            let worst = (f64::from(gradient[j]) - numeric).abs();
            // The unit computes in f32.
            assert!(
                worst < 5e-4 * f64::from(largest),
                "{name}, input {i} at {j}: {} instead of {numeric}",
                gradient[j]
            );
        }
    }
}

/// γ about 1, β about 0.
fn norm(out: usize, seed: u32) -> [Vec<f32>; 2] {
    let gamma = numbers(out, seed).iter().map(|v| 1.0 + 0.3 * v).collect();
    let beta = numbers(out, seed + 1).iter().map(|v| 0.3 * v).collect();
    [gamma, beta]
}

#[test]
fn gradients_of_the_convolution_unit() {
    for (hw, in_ch, out_ch, kernel, stride, kind, pool) in [
        ((5, 4), 3, 6, 3, 2, Activation::Silu, false),
        ((4, 6), 2, 9, 5, 1, Activation::HardSwish, false),
        ((3, 3), 7, 12, 1, 1, Activation::Silu, true),
        ((4, 4), 3, 17, 3, 1, Activation::Sigmoid, true),
        ((6, 5), 1, 8, 3, 2, Activation::Linear, false),
    ] {
        let shape = conv::Shape {
            n: 3,
            window: Window::same(hw, in_ch, kernel, stride),
            out_ch,
            act: kind,
            pool,
        };
        let x = numbers(3 * hw.0 * hw.1 * in_ch, 1);
        let weight = numbers(kernel * kernel * in_ch * out_ch, 2);
        let [gamma, beta] = norm(out_ch, 3);
        let w = ConvNorm {
            weight: &weight[..],
            gamma: &gamma,
            beta: &beta,
        };
        let (y, saved) = conv::forward(&shape, &x, &w);
        let weights = numbers(y.len(), 5);
        let (dx, dw) = conv::backward(&shape, &x, &w, &saved, &weights, true);
        let gradients = [dx.unwrap(), dw.weight, dw.gamma, dw.beta];
        let inputs = [x, weight, gamma, beta];
        check(&format!("{shape:?}"), &inputs, &gradients, &weights, |v| {
            conv_shadow(&shape, &v[0], &v[1..])
        });
    }
}

#[test]
fn gradients_of_the_block() {
    for (hw, in_ch, out_ch, ratio, squeezed_ch, kernel, stride, kind, keep) in [
        ((5, 4), 4, 4, 3, 2, 3, 1, Activation::Silu, vec![]),
        ((5, 6), 3, 7, 4, 1, 5, 2, Activation::Silu, vec![]),
        ((4, 4), 8, 8, 1, 2, 3, 1, Activation::HardSwish, vec![]),
        (
            (3, 5),
            5,
            5,
            2,
            0,
            3,
            1,
            Activation::Silu,
            vec![2.0, 0.0, 2.0],
        ),
        ((6, 6), 2, 9, 5, 3, 3, 2, Activation::Sigmoid, vec![]),
    ] {
        let mid = ratio * in_ch;
        let shape = mbconv::Shape {
            n: 3,
            in_ch,
            out_ch,
            squeezed_ch,
            expand: ratio > 1,
            window: Window::same(hw, mid, kernel, stride),
            act: kind,
            residual: stride == 1 && in_ch == out_ch,
        };
        let x = numbers(3 * hw.0 * hw.1 * in_ch, 1);
        let expand = if ratio > 1 { in_ch * mid } else { 0 };
        let gate = |len: usize| if squeezed_ch > 0 { len } else { 0 };
        let [eg, eb] = norm(if ratio > 1 { mid } else { 0 }, 10);
        let [dg, db] = norm(mid, 12);
        let [pg, pb] = norm(out_ch, 14);
        let parameters: [Vec<f32>; PARAMETERS] = [
            numbers(expand, 2),
            eg,
            eb,
            numbers(kernel * kernel * mid, 3),
            dg,
            db,
            numbers(gate(mid * squeezed_ch), 4),
            numbers(gate(squeezed_ch), 5),
            numbers(gate(squeezed_ch * mid), 6),
            numbers(gate(mid), 7),
            numbers(mid * out_ch, 8),
            pg,
            pb,
        ];
        let w = Parameters::from_array(parameters.each_ref().map(Vec::as_slice));
        let (y, saved) = mbconv::forward(&shape, &x, &w, keep.clone());
        let weights = numbers(y.len(), 9);
        let (dx, dw) = mbconv::backward(&shape, &x, &w, &saved, &weights);
        let mut inputs = vec![x];
        let mut gradients = vec![dx];
        for (value, gradient) in parameters.iter().zip(dw.into_array()) {
            inputs.push(value.clone());
            gradients.push(gradient);
        }
        check(&format!("{shape:?}"), &inputs, &gradients, &weights, |v| {
            block_shadow(&shape, &v[0], &v[1..], &keep)
        });
    }
}
