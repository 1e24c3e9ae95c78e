//! Writes packed models for [`pupil_core`]: runs on the host, never on a chip.
//!
//! - [`ModelBuilder`]: layers in, a packed model out; [`tables`]: non-linearities as tables of 256
//!   values
//! - [`quantize`]: multipliers and int8 parameters from real scales; [`params`]: the same for whole
//!   operators
//! - [`weights`]: the layouts that the chip's kernels read
//! - [`plan`]: where each tensor lies in the arena and how layers run, by exact bytes and estimated
//!   instructions
//!
//! The file's contents are collected first (`contents`), their memory is planned, and then they are
//! written once. [`Model::parse`](pupil_core::model::Model::parse) checks every file before it is
//! given out: it shares no code with the planner.
//!
//! # Example
//! ```
//! use pupil_core::interpreter::Interpreter;
//! use pupil_core::model::{InputSpec, Model, PixelFormat};
//! use pupil_core::op::quant::Affine;
//! use pupil_core::op::shape::Shape;
//! use pupil_packer::{Channel, Conv, ModelBuilder, quantize};
//!
//! let affine = Affine { scale: 1.0, zero_point: 0 };
//! let input = InputSpec { shape: Shape::new(1, 1, 1), format: PixelFormat::Grey8, affine };
//! let mut builder = ModelBuilder::new(input, &["dark", "bright"]);
//! let channel = |bias| Channel { bias, multiplier: quantize::multiplier(1.0) };
//! let layer = Conv::dense(vec![-1i8 as u8, 1], vec![channel(0), channel(0)], affine);
//! let logits = builder.dense(builder.input(), layer)?;
//! builder.softmax(logits)?;
//! let bytes = builder.finish()?;
//!
//! let model = Model::parse(&bytes)?;
//! let mut arena = [0i8; 64];
//! let mut interpreter = Interpreter::new(&model, &mut arena)?;
//! interpreter.load(&[255])?;
//! let scores = interpreter.run(&mut ())?;
//! assert_eq!(model.label(usize::from(scores[1] > scores[0])), Some("bright"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod builder;
mod contents;
mod layer;
pub mod params;
pub mod plan;
pub mod quantize;
pub mod tables;
#[cfg(test)]
mod tests;
pub mod weights;

pub use builder::ModelBuilder;
pub use layer::{Channel, Conv, Depthwise, Fused, Pad, Pool, TensorId};
/// The core that reads what is written here.
pub use pupil_core;

pub use contents::{BuildError, check_label};
