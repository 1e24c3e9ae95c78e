//! The device that trains: the CPU, or a GPU where the build has its backend.
//!
//! On the CPU a seed fixes every bit. On a GPU sums may take another order at each run: results are
//! equal to rounding only. What follows training (int8, packing) is the same code everywhere.

use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};

use burn::tensor::{Device, Tensor};
use clap::ValueEnum;
use thiserror::Error;

/// A kind of device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum TrainingDevice {
    /// This machine's processor; the same bits at every run.
    #[default]
    Cpu,
    /// An NVIDIA GPU; CUDA_VISIBLE_DEVICES chooses among several. Needs the feature `cuda`.
    Cuda,
    /// A GPU by Vulkan, Metal or DirectX 12; CUBECL_WGPU_DEFAULT_DEVICE chooses among several. Needs
    /// the feature `wgpu`.
    Wgpu,
}

/// Why a device can't be used.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum DeviceError {
    /// The build has no backend for it.
    #[error(
        "--device {word}: this pupil can't train on it\n  why:   it was built without the feature `{word}`\n  do:    cargo run --release --features {word} -- … --device {word}, or leave --device out to train on the CPU"
    )]
    NotBuilt {
        /// The option's value.
        word: &'static str,
    },
    /// The machine has none.
    #[cfg(any(feature = "cuda", feature = "wgpu"))]
    #[error(
        "--device {word}: no such device is found\n  why:   {why}\n  do:    install the GPU's driver and see whether {tool} lists it, or leave --device out to train on the CPU"
    )]
    NotFound {
        /// The option's value.
        word: &'static str,
        /// What was looked for.
        why: &'static str,
        /// A program of the driver that lists devices.
        tool: &'static str,
    },
    /// It is there but computes nothing.
    #[error(
        "--device {word}: it does not compute\n  why:   {why}\n  do:    update the GPU's driver (see whether {tool} works), or leave --device out to train on the CPU"
    )]
    Broken {
        /// The option's value.
        word: &'static str,
        /// What the backend said.
        why: String,
        /// A program of the driver that lists devices.
        tool: &'static str,
    },
}

impl TrainingDevice {
    /// As typed behind `--device`.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::Wgpu => "wgpu",
        }
    }

    /// The device, without autodiff, after a computation on it.
    ///
    /// # Errors
    /// A build without it, no such device, or one that does not compute.
    pub(crate) fn open(self) -> Result<Device, DeviceError> {
        let device = match self {
            Self::Cpu => return Ok(Device::flex()),
            Self::Cuda => cuda()?,
            Self::Wgpu => wgpu()?,
        };
        match probe(&device) {
            Ok(()) => Ok(device),
            Err(why) => Err(DeviceError::Broken {
                word: self.word(),
                why,
                tool: self.tool(),
            }),
        }
    }

    /// What shows whether the driver works.
    fn tool(self) -> &'static str {
        match self {
            Self::Cpu | Self::Cuda => "nvidia-smi",
            Self::Wgpu => "vulkaninfo (on Linux)",
        }
    }
}

#[cfg(feature = "cuda")]
fn cuda() -> Result<Device, DeviceError> {
    use burn::tensor::DeviceType;
    if !Device::enumerate(DeviceType::Cuda).is_empty() {
        return Ok(Device::cuda(0));
    }
    Err(DeviceError::NotFound {
        word: TrainingDevice::Cuda.word(),
        why: "no NVIDIA driver is installed, or it knows no device",
        tool: TrainingDevice::Cuda.tool(),
    })
}

#[cfg(not(feature = "cuda"))]
fn cuda() -> Result<Device, DeviceError> {
    let word = TrainingDevice::Cuda.word();
    Err(DeviceError::NotBuilt { word })
}

#[cfg(feature = "wgpu")]
fn wgpu() -> Result<Device, DeviceError> {
    use burn::tensor::{DeviceKind, DeviceType};
    if !Device::enumerate(DeviceType::Wgpu).is_empty() {
        return Ok(Device::wgpu(DeviceKind::DefaultDevice));
    }
    Err(DeviceError::NotFound {
        word: TrainingDevice::Wgpu.word(),
        why: "neither Vulkan, Metal nor DirectX 12 has an adapter",
        tool: TrainingDevice::Wgpu.tool(),
    })
}

#[cfg(not(feature = "wgpu"))]
fn wgpu() -> Result<Device, DeviceError> {
    let word = TrainingDevice::Wgpu.word();
    Err(DeviceError::NotBuilt { word })
}

/// Adds two numbers on `device`. A backend that does not start panics: its words become an error.
fn probe(device: &Device) -> Result<(), String> {
    let hook = take_hook();
    set_hook(Box::new(|_| {}));
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let x: Tensor<1> = Tensor::from_floats([1.0, 2.0], device);
        x.sum().into_data().try_to_vec::<f32>()
    }));
    set_hook(hook);
    match outcome {
        Ok(Ok(sum)) if sum == [3.0] => Ok(()),
        Ok(Ok(sum)) => Err(format!("1 + 2 is {sum:?} on it")),
        Ok(Err(error)) => Err(format!("{error:?}")),
        Err(panic) => Err(panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or(panic.downcast_ref::<&str>().copied())
            .unwrap_or("its backend does not start")
            .replace('\n', " ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_is_always_there() {
        assert_eq!(TrainingDevice::Cpu.open(), Ok(Device::flex()));
        assert_eq!(probe(&Device::flex()), Ok(()));
        assert_eq!(TrainingDevice::default(), TrainingDevice::Cpu);
    }

    #[test]
    fn words_are_what_the_command_line_takes() {
        for kind in TrainingDevice::value_variants() {
            let name = kind.to_possible_value().unwrap();
            assert_eq!(name.get_name(), kind.word());
        }
    }

    /// What is built answers, one way or the other; what is not names its feature.
    #[test]
    fn a_device_that_can_not_be_used_says_why() {
        for (kind, built) in [
            (TrainingDevice::Cuda, cfg!(feature = "cuda")),
            (TrainingDevice::Wgpu, cfg!(feature = "wgpu")),
        ] {
            let Err(error) = kind.open() else {
                assert!(built);
                continue;
            };
            let unbuilt = matches!(error, DeviceError::NotBuilt { .. });
            assert_eq!(unbuilt, !built, "{error}");
            let text = error.to_string();
            for part in ["--device", kind.word(), "why:", "do:"] {
                assert!(text.contains(part), "{text}");
            }
        }
    }
}
