//! Two runs of one module, number by number.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Tensor, TensorData};

use crate::nn::init::Init;
use crate::nn::kernels::testing::numbers;
use crate::nn::noise::{Noise, Pass};
use crate::nn::ops::choice::testing::with_stock;
use crate::nn::values::{self, collect};
use crate::util::random::stream;

/// Where a composition runs and how near it must be.
pub(super) struct Target {
    name: &'static str,
    device: Device,
    /// Whether modules themselves choose stock operators there.
    stock: bool,
    /// Largest difference over the largest value.
    tolerance: f32,
}

impl Target {
    /// Modules composed of small fused operators.
    pub(super) fn small() -> Self {
        Self {
            name: "small operators",
            device: Device::flex(),
            stock: false,
            // f32 sums of some hundred terms in another order, through several normalizations.
            tolerance: 1e-4,
        }
    }

    /// Modules as they choose on a GPU, on the CPU.
    pub(super) fn stock() -> Self {
        Self {
            name: "stock operators",
            stock: true,
            ..Self::small()
        }
    }

    /// On a GPU.
    #[cfg(any(feature = "cuda", feature = "wgpu"))]
    pub(super) fn gpu(name: &'static str, device: Device) -> Self {
        Self {
            name,
            device,
            stock: true,
            // Matrix units may round each factor to TF32: 2^-11, relative.
            tolerance: 2e-3,
        }
    }

    /// Runs `f` with the operators of this target.
    fn run<R>(&self, f: impl FnOnce() -> R) -> R {
        if self.stock { with_stock(f) } else { f() }
    }
}

/// A forward pass of a module.
pub(super) type Pathway<'a, M, const D: usize> =
    &'a dyn Fn(&M, Tensor<4>, &mut Pass<'_>) -> Tensor<D>;

/// The gradient of every parameter that has one.
struct Collector<'a>(&'a Gradients, Vec<Vec<f32>>);

impl ModuleVisitor for Collector<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = param.val().grad(self.0) {
            self.1.push(values::numbers(gradient));
        }
    }
}

/// A module on `device` with parameters from one stream, whatever how often it is built.
pub(crate) fn build<M>(make: impl Fn(&mut Init<'_>) -> M, device: &Device) -> M {
    make(&mut Init {
        device: &device.clone().autodiff(),
        rng: &mut stream(5, "unit tests", 0),
    })
}

fn input(dims: [usize; 4], seed: u32, device: &Device) -> Tensor<4> {
    let data = TensorData::new(numbers(dims.iter().product(), seed), dims);
    Tensor::from_data(data, device)
}

/// Output, gradient of x and of all parameters, running statistics after one training pass.
pub(crate) fn trained<M: Module, const D: usize>(
    module: &M,
    dims: [usize; 4],
    device: &Device,
    run: Pathway<'_, M, D>,
) -> Vec<(String, Vec<f32>)> {
    let device = device.clone().autodiff();
    let x = input(dims, 11, &device).require_grad();
    let mut noise = Noise {
        dropout: 0.25,
        drop_path: 0.5,
        step: 9,
        rng: stream(3, "unit tests", 0),
    };
    let y = run(module, x.clone(), &mut Pass::Train(&mut noise));
    let weights = TensorData::new(numbers(y.dims().iter().product(), 12), y.dims());
    let weights = Tensor::<D>::from_data(weights, &device);
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

/// [`trained`], and the output in evaluation with the running statistics that it left.
fn results<M: Module, const D: usize>(
    make: impl Fn(&mut Init<'_>) -> M,
    dims: [usize; 4],
    device: &Device,
    run: Pathway<'_, M, D>,
) -> Vec<(String, Vec<f32>)> {
    let module = build(make, device);
    let mut all = trained(&module, dims, device, run);
    let y = run(
        &module.valid(),
        input(dims, 13, device),
        &mut Pass::Evaluate,
    );
    all.push(("evaluation".into(), values::numbers(y)));
    all
}

/// Compares the module that `make` makes on the fused path with it on the target's: `forward`
/// where modules choose stock operators, else `small`.
pub(super) fn compare<M: Module, const D: usize>(
    target: &Target,
    name: &str,
    make: impl Fn(&mut Init<'_>) -> M,
    dims: [usize; 4],
    forward: Pathway<'_, M, D>,
    small: Pathway<'_, M, D>,
) {
    let fused = results(&make, dims, &Device::flex(), forward);
    let composed = if target.stock { forward } else { small };
    let other = target.run(|| results(&make, dims, &target.device, composed));
    assert_eq!(fused.len(), other.len(), "{name}");
    for ((what, fused), (_, other)) in fused.iter().zip(&other) {
        let name = format!("{name} {dims:?} by {}: {what}", target.name);
        assert_eq!(fused.len(), other.len(), "{name}");
        // Sums are as exact as their terms are large. A gradient may be far smaller: that of γ
        // before ReLU and another batch norm is zero but for the variance's ε.
        let least = if what.starts_with("gradient") {
            0.1
        } else {
            1e-3
        };
        let largest = other.iter().fold(least, |m: f32, v| m.max(v.abs()));
        for (a, b) in fused.iter().zip(other) {
            let off = (a - b).abs() / largest;
            // Not `>`: what is no number is no match.
            assert!(off < target.tolerance, "{name}: {a} and {b} of {largest}");
        }
    }
}
