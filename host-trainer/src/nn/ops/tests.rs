//! Each fused operator against the same function composed of burn's stock operators: outputs
//! and all gradients, on odd sizes, short channels and both strides.

use burn::tensor::{Device, Tensor, TensorData};
use rand::Rng;

use super::slot::Slot;
use super::*;
use crate::nn::Activation;
use crate::util::random::stream;

fn device() -> Device {
    Device::flex().autodiff()
}

/// Values in −1..1 from a stream of its own.
fn random<const D: usize>(dims: [usize; D], counter: u64) -> Tensor<D> {
    let mut rng = stream(9, "operator tests", counter);
    let count = dims.iter().product();
    let values: Vec<f32> = (0..count)
        .map(|_| (rng.next_u32() >> 8) as f32 / (1u32 << 23) as f32 - 1.0)
        .collect();
    Tensor::from_data(TensorData::new(values, dims), &device()).require_grad()
}

fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().try_to_vec().unwrap()
}

/// Largest difference, relative to the largest value.
fn assert_close(name: &str, fused: &[f32], stock: &[f32]) {
    assert_eq!(fused.len(), stock.len(), "{name}");
    let largest = stock.iter().fold(1e-3f32, |m, v| m.max(v.abs()));
    let worst = fused
        .iter()
        .zip(stock)
        .fold(0.0f32, |m, (a, b)| m.max((a - b).abs()));
    // f32 sums of some thousand terms in another order.
    assert!(
        worst / largest < 2e-5,
        "{name}: differs by {worst} of {largest}"
    );
}

/// Compares outputs and the gradients of `inputs` for a loss that weighs every output.
fn compare<const D: usize>(
    name: &str,
    fused: Tensor<D>,
    stock: Tensor<D>,
    fused_inputs: &[Tensor<1>],
    stock_inputs: &[Tensor<1>],
) {
    assert_close(
        name,
        &values(fused.clone().inner()),
        &values(stock.clone().inner()),
    );
    let weights = random(fused.dims(), 1000).detach();
    let fused_grads = (fused * weights.clone()).sum().backward();
    let stock_grads = (stock * weights).sum().backward();
    for (i, (a, b)) in fused_inputs.iter().zip(stock_inputs).enumerate() {
        let a = values(a.grad(&fused_grads).expect("a gradient"));
        let b = values(b.grad(&stock_grads).expect("a gradient"));
        assert_close(&format!("{name}, gradient {i}"), &a, &b);
    }
}

/// Leaf tensors as flat vectors, so that one list holds several ranks.
fn leaf<const D: usize>(dims: [usize; D], counter: u64) -> (Tensor<1>, Tensor<D>) {
    let flat = random([dims.iter().product()], counter);
    (flat.clone(), flat.reshape(dims))
}

#[test]
fn depthwise_equals_grouped_convolution() {
    for (dims, kernel, stride) in [
        ([3, 7, 6, 5], 3, 1),
        ([2, 8, 8, 16], 3, 2),
        ([9, 5, 7, 11], 5, 2),
        ([1, 1, 1, 8], 5, 1),
        ([2, 1, 9, 3], 3, 2),
        ([2, 9, 9, 8], 9, 1),
    ] {
        let c = dims[3];
        let ((fx, x), (fw, w)) = (leaf(dims, 1), leaf([kernel * kernel, c], 2));
        let ((sx, x2), (sw, w2)) = (leaf(dims, 1), leaf([kernel * kernel, c], 2));
        compare(
            &format!("depthwise {dims:?} k{kernel} s{stride}"),
            depthwise(x, w, kernel, stride),
            stock::depthwise(x2, w2, kernel, stride),
            &[fx, fw],
            &[sx, sw],
        );
    }
}

#[test]
fn patches_times_weights_equal_convolution() {
    for (dims, kernel, stride, groups, out) in [
        ([3, 7, 6, 2], 3, 1, 1, 4),
        ([2, 8, 8, 1], 3, 2, 1, 5),
        ([2, 5, 1, 3], 5, 2, 1, 2),
        ([2, 6, 7, 8], 3, 2, 4, 3),
    ] {
        let rows = kernel * kernel * dims[3] / groups;
        let ((fx, x), (fw, weight)) = (leaf(dims, 3), leaf([groups, rows, out], 4));
        let ((sx, x2), (sw, weight2)) = (leaf(dims, 3), leaf([groups, rows, out], 4));
        compare(
            &format!("convolution {dims:?} k{kernel} s{stride} g{groups}"),
            convolution(x, weight, kernel, stride),
            stock::convolution(x2, weight2, kernel, stride),
            &[fx, fw],
            &[sx, sw],
        );
    }
}

#[test]
fn batch_norm_act_equals_its_composition() {
    for act in [
        Activation::Linear,
        Activation::Relu,
        Activation::Relu6,
        Activation::Silu,
        Activation::HardSwish,
        Activation::Sigmoid,
    ] {
        for dims in [[4, 5, 3, 6], [16, 4, 4, 8], [2, 1, 1, 3]] {
            let c = dims[3];
            let ((fx, x), (fg, g), (fb, b)) = (leaf(dims, 5), leaf([c], 6), leaf([c], 7));
            let ((sx, x2), (sg, g2), (sb, b2)) = (leaf(dims, 5), leaf([c], 6), leaf([c], 7));
            compare(
                &format!("batch norm {act:?} {dims:?}"),
                batch_norm_act(x, g, b, act, &Slot::new()),
                stock::batch_norm_act(x2, g2, b2, act).0,
                &[fx, fg, fb],
                &[sx, sg, sb],
            );
        }
    }
}

#[test]
fn batch_statistics_are_the_mean_and_the_biased_variance() {
    let x = random([8, 3, 3, 4], 8) * 3.0 + 50.0;
    let ones = Tensor::ones([4], &device());
    let slot = Slot::new();
    batch_norm_act(x.clone(), ones.clone(), ones, Activation::Linear, &slot);
    let norm = slot.get().unwrap();
    let rows = x.inner().reshape([72, 4]);
    let expected = rows.clone().mean_dim(0);
    assert_close("mean", &norm.mean, &values(expected.clone()));
    let squares = (rows - expected).powi_scalar(2).mean_dim(0);
    for (a, b) in norm.variance.iter().zip(values(squares)) {
        assert!((a - b).abs() / b < 1e-4, "{a} {b}"); // through 1/√(σ² + ε) in f32
    }
}

#[test]
fn pooling_and_gate_equal_their_compositions() {
    for dims in [[3, 5, 4, 7], [2, 1, 1, 8], [9, 3, 2, 16]] {
        let [n, _, _, c] = dims;
        let ((fx, x), (sx, x2)) = (leaf(dims, 10), leaf(dims, 10));
        let stock = stock::global_pool(x2);
        compare(
            &format!("pool {dims:?}"),
            global_pool(x),
            stock,
            &[fx],
            &[sx],
        );
        let ((fx, x), (fs, s)) = (leaf(dims, 11), leaf([n, c], 12));
        let ((sx, x2), (ss, s2)) = (leaf(dims, 11), leaf([n, c], 12));
        let stock = stock::gate(x2, s2);
        compare(
            &format!("gate {dims:?}"),
            gate(x, s),
            stock,
            &[fx, fs],
            &[sx, ss],
        );
    }
}

#[test]
fn evaluation_applies_the_given_scale_and_shift() {
    let (x, a, b) = (random([2, 3, 3, 5], 13), random([5], 14), random([5], 15));
    let y = scale_shift_act(x.clone(), a.clone(), b.clone(), Activation::Silu);
    let stock = stock::scale_shift_act(x, a, b, Activation::Silu);
    assert_close("scale and shift", &values(y), &values(stock.inner()));
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let (flat, x) = leaf([11, 6, 6, 12], 16);
            let (weights, w) = leaf([9, 12], 17);
            let ones = Tensor::ones([12], &device());
            let y = depthwise(x, w, 3, 1);
            let y = batch_norm_act(y, ones.clone(), ones, Activation::Silu, &Slot::new());
            let grads = (y.clone() * y).sum().backward();
            (
                values(flat.grad(&grads).unwrap()),
                values(weights.grad(&grads).unwrap()),
            )
        })
    };
    assert_eq!(run(1), run(2));
    assert_eq!(run(1), run(5));
}
