//! Every module on the CPU's fused path against its compositions: outputs, gradients of the input
//! and of all parameters, running statistics, evaluation.
//!
//! The compositions are small fused operators, burn's stock operators on the CPU, and, in a build
//! with `cuda` or `wgpu`, the same stock operators on the GPU that the machine has.

mod cases;
mod compare;

pub(super) use compare::{build, trained};

#[cfg(any(feature = "cuda", feature = "wgpu"))]
use crate::nn::device::TrainingDevice;
use cases::{modules, nets, units};
use compare::Target;

#[test]
fn units_equal_compositions_of_small_operators() {
    units(&Target::small());
}

#[test]
fn modules_equal_compositions_of_stock_operators() {
    let target = Target::stock();
    units(&target);
    modules(&target);
    nets(&target);
}

/// All of them on a GPU. Where there is none the line on stderr, which the test runner shows even
/// where tests pass, counts as skipped in `cargo xtask`'s totals.
#[cfg(any(feature = "cuda", feature = "wgpu"))]
fn on_gpu(kind: TrainingDevice) {
    use std::io::Write as _;
    let line = match kind.open() {
        Ok(device) => {
            let target = Target::gpu(kind.word(), device);
            units(&target);
            modules(&target);
            nets(&target);
            format!("parity on {}: compared", kind.word())
        }
        Err(error) => format!(
            "{error}\nparity on {}: 0 passed, 0 failed, 1 skipped",
            kind.word()
        ),
    };
    writeln!(std::io::stderr(), "\n{line}").unwrap();
}

#[cfg(feature = "cuda")]
#[test]
fn modules_on_cuda_equal_those_on_the_cpu() {
    on_gpu(TrainingDevice::Cuda);
}

#[cfg(feature = "wgpu")]
#[test]
fn modules_on_wgpu_equal_those_on_the_cpu() {
    on_gpu(TrainingDevice::Wgpu);
}
