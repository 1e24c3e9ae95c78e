//! The units against the same modules composed of small operators: outputs, all gradients,
//! running statistics; and evaluation against the composition's.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Tensor, TensorData};

use crate::nn::activation::Activation;
use crate::nn::conv::{ConvBnAct, Pointwise};
use crate::nn::init::Init;
use crate::nn::kernels::testing::numbers;
use crate::nn::mbconv::MbConvConfig;
use crate::nn::noise::{Noise, Pass};
use crate::nn::ops::global_pool;
use crate::nn::values::{self, collect};
use crate::random::stream;

fn device() -> Device {
    Device::flex().autodiff()
}

/// The gradient of every parameter that has one.
struct Collector<'a>(&'a Gradients, Vec<Vec<f32>>);

impl ModuleVisitor for Collector<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = param.val().grad(self.0) {
            self.1.push(values::numbers(gradient));
        }
    }
}

fn close(name: &str, a: &[f32], b: &[f32]) {
    assert_eq!(a.len(), b.len(), "{name}");
    let largest = b.iter().fold(1e-3f32, |m, v| m.max(v.abs()));
    let worst = a
        .iter()
        .zip(b)
        .fold(0.0f32, |m, (a, b)| m.max((a - b).abs()));
    // f32 sums of some hundred terms in another order, through several normalizations.
    assert!(worst / largest < 1e-4, "{name}: {worst} of {largest}");
}

/// Output, gradient of x and of all parameters, running statistics after one training pass.
fn trained<M: Module, const D: usize>(
    module: &M,
    dims: [usize; 4],
    run: impl Fn(&M, Tensor<4>, &mut Pass<'_>) -> Tensor<D>,
) -> Vec<(String, Vec<f32>)> {
    let data = TensorData::new(numbers(dims.iter().product(), 11), dims);
    let x = Tensor::<4>::from_data(data, &device()).require_grad();
    let mut noise = Noise {
        dropout: 0.0,
        drop_path: 0.5,
        step: 0,
        rng: stream(3, "unit tests", 0),
    };
    let y = run(module, x.clone(), &mut Pass::Train(&mut noise));
    let weights = TensorData::new(numbers(y.dims().iter().product(), 12), y.dims());
    let weights = Tensor::<D>::from_data(weights, &device());
    let gradients = (y.clone() * weights).sum().backward();
    let mut collector = Collector(&gradients, Vec::new());
    module.visit(&mut collector);
    let mut all = vec![("output".to_owned(), values::numbers(y))];
    all.push(("x".into(), values::numbers(x.grad(&gradients).unwrap())));
    for (i, gradient) in collector.1.into_iter().enumerate() {
        all.push((format!("gradient {i}"), gradient));
    }
    for entry in collect(module) {
        if entry.name.ends_with("mean") || entry.name.ends_with("variance") {
            all.push((entry.name, entry.values));
        }
    }
    all
}

/// Compares the fused and the composed form of modules that `build` makes equal.
fn compare<M: Module, const D: usize>(
    name: &str,
    build: impl Fn() -> M,
    dims: [usize; 4],
    fused: impl Fn(&M, Tensor<4>, &mut Pass<'_>) -> Tensor<D>,
    composed: impl Fn(&M, Tensor<4>, &mut Pass<'_>) -> Tensor<D>,
) {
    let (a, b) = (build(), build());
    let (left, right) = (trained(&a, dims, &fused), trained(&b, dims, &composed));
    assert_eq!(left.len(), right.len(), "{name}");
    for ((what, left), (_, right)) in left.iter().zip(&right) {
        close(&format!("{name} {dims:?}: {what}"), left, right);
    }
    // Evaluation, with running statistics that are not the initial ones.
    let (a, b) = (a.valid(), b.valid());
    let x = TensorData::new(numbers(dims.iter().product(), 13), dims);
    let x = Tensor::<4>::from_data(x, &Device::flex());
    let left = values::numbers(fused(&a, x.clone(), &mut Pass::Evaluate));
    let right = values::numbers(composed(&b, x, &mut Pass::Evaluate));
    close(&format!("{name} {dims:?}: evaluation"), &left, &right);
}

/// A module with parameters from one stream, whatever how often it is built.
fn build<M>(make: impl Fn(&mut Init<'_>) -> M) -> M {
    make(&mut Init {
        device: &device(),
        rng: &mut stream(5, "unit tests", 0),
    })
}

#[test]
fn a_block_equals_its_composition() {
    let base = MbConvConfig {
        in_ch: 8,
        out_ch: 8,
        kernel: 3,
        stride: 1,
        expand_ratio: 2,
        squeezed_ch: 2,
        act: Activation::Silu,
    };
    let cases = [
        (base, [11, 6, 5, 8]),
        (base, [1, 1, 1, 8]),
        (
            MbConvConfig {
                squeezed_ch: 0,
                ..base
            },
            [9, 4, 4, 8],
        ),
        (
            MbConvConfig {
                expand_ratio: 1,
                ..base
            },
            [5, 5, 7, 8],
        ),
        (
            MbConvConfig {
                expand_ratio: 1,
                squeezed_ch: 0,
                out_ch: 5,
                ..base
            },
            [3, 8, 8, 8],
        ),
        (
            MbConvConfig {
                kernel: 5,
                stride: 2,
                out_ch: 12,
                ..base
            },
            [10, 7, 8, 8],
        ),
        (
            MbConvConfig {
                stride: 2,
                in_ch: 3,
                expand_ratio: 3,
                ..base
            },
            [4, 9, 6, 3],
        ),
        (
            MbConvConfig {
                kernel: 5,
                in_ch: 5,
                out_ch: 5,
                expand_ratio: 3,
                ..base
            },
            [17, 3, 3, 5],
        ),
        (
            MbConvConfig {
                kernel: 7,
                act: Activation::HardSwish,
                ..base
            },
            [2, 9, 9, 8],
        ),
        (
            MbConvConfig {
                kernel: 9,
                stride: 3,
                act: Activation::Relu6,
                ..base
            },
            [2, 11, 10, 8],
        ),
        (
            MbConvConfig {
                act: Activation::Relu,
                expand_ratio: 5,
                ..base
            },
            [8, 4, 4, 8],
        ),
    ];
    for (config, dims) in cases {
        compare(
            &format!("{config:?}"),
            || build(|init| config.init(init)),
            dims,
            |m, x, pass| m.forward(x, pass, 1, 2),
            |m, x, pass| m.compose(x, pass, 1, 2),
        );
    }
}

#[test]
fn a_convolution_unit_equals_its_composition() {
    for (kernel, stride, channels, dims) in [
        (3, 2, (3, 6), [9, 8, 8, 3]),
        (3, 1, (1, 16), [2, 5, 7, 1]),
        (5, 2, (2, 4), [3, 6, 5, 2]),
        (1, 1, (6, 10), [12, 3, 3, 6]),
    ] {
        compare(
            &format!("{kernel}x{kernel} stride {stride}"),
            || build(|init| ConvBnAct::new(channels, kernel, stride, Activation::Silu, init)),
            dims,
            |m, x, pass| m.forward(x, pass),
            |m, x, pass| m.compose(x, pass),
        );
    }
}

#[test]
fn a_pooled_unit_equals_its_composition() {
    for dims in [[9, 4, 3, 6], [2, 1, 1, 6]] {
        compare(
            "pooled",
            || build(|init| Pointwise::new((6, 20), Activation::Silu, init)),
            dims,
            |m, x, pass| m.forward_pooled(x, pass),
            |m, x, pass| global_pool(m.compose(x, pass)),
        );
    }
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let config = MbConvConfig {
        in_ch: 8,
        out_ch: 8,
        kernel: 5,
        stride: 1,
        expand_ratio: 4,
        squeezed_ch: 2,
        act: Activation::Silu,
    };
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let block = build(|init| config.init(init));
        pool.install(|| trained(&block, [19, 6, 6, 8], |m, x, pass| m.forward(x, pass, 0, 1)))
    };
    assert_eq!(run(1), run(2));
    assert_eq!(run(1), run(5));
}
