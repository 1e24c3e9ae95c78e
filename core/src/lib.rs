//! Int8 inference for microcontrollers, without std and without an allocator.
//!
//! The trainer on the host runs this very crate, so chip and PC agree to the bit.
//!
//! # Packed model
//! [`model`]: `student.pupil`, one file with header, labels, layers and weights, read in place
//! from flash. [`model::Model::parse`] checks everything once; afterwards nothing panics. For who
//! writes tools; applications only call `parse`.
//!
//! # Memory plan
//! [`plan`]: arena offsets of all tensors, the exact peak, and how layers run (one by one, or
//! together a few rows at a time), chosen when a model is packed, recorded in the file and proven
//! again by `parse`. For who wants to see the map, or has less RAM.
//!
//! # Interpreter
//! [`interpreter`]: runs a model in an arena that the application owns; [`observer`] looks at
//! each layer. For every application.
//!
//! # Kernels
//! [`kernels`]: one operator a file, bit-exact with TensorFlow Lite's int8 reference;
//! [`quant`] and [`fixed_point`] are the arithmetic below, [`shape`] the sizes and padding. Not
//! called by applications.
//!
//! # Preprocessing
//! [`preprocess`] turns camera frames into model frames, [`classify`] scores into decisions;
//! [`error`] says what can be wrong.
//!
//! # Example
//! ```
//! # #[cfg(feature = "std")] {
//! use pupil_core::interpreter::Interpreter;
//! use pupil_core::model::{Channel, Conv, InputSpec, Model, ModelBuilder, Pad, PixelFormat};
//! use pupil_core::quant::{Affine, Multiplier};
//! use pupil_core::shape::Shape;
//!
//! let affine = Affine { scale: 1.0, zero_point: 0 };
//! let input = InputSpec { shape: Shape::new(1, 1, 1), format: PixelFormat::Grey8, affine };
//! let mut builder = ModelBuilder::new(input, &["dark", "bright"]);
//! let channel = |bias| Channel { bias, multiplier: Multiplier::from_real(1.0) };
//! let layer = Conv::dense(vec![-1i8 as u8, 1], vec![channel(0), channel(0)], affine);
//! let logits = builder.dense(builder.input(), layer).unwrap();
//! builder.softmax(logits).unwrap();
//! let bytes = builder.finish().unwrap();
//!
//! let model = Model::parse(&bytes).unwrap();
//! let mut arena = [0i8; 64];
//! let mut interpreter = Interpreter::new(&model, &mut arena).unwrap();
//! interpreter.load(&[255]).unwrap();
//! let scores = interpreter.run(&mut ()).unwrap();
//! assert_eq!(model.label(usize::from(scores[1] > scores[0])), Some("bright"));
//! # }
//! ```
#![cfg_attr(not(test), no_std)]

#[cfg(any(test, feature = "std"))]
extern crate std;

pub mod classify;
pub mod error;
pub mod fixed_point;
pub mod interpreter;
pub mod kernels;
pub mod model;
pub mod observer;
#[cfg(feature = "std")]
pub mod plan;
pub mod preprocess;
pub mod quant;
pub mod shape;
mod stream;
#[cfg(feature = "std")]
pub mod tables;
