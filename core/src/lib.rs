//! Int8 inference for microcontrollers, without std and without an allocator.
//!
//! The trainer on the host runs this very crate, so chip and PC agree to the bit.
//!
//! # Packed model
//! [`model`]: `student.pupil`, one file with header, labels, layers and weights, read in place
//! from flash. [`model::Model::parse`] checks everything once; afterwards nothing panics. For who
//! writes tools; applications only call `parse`.
//!
//! # Interpreter
//! [`interpreter`]: runs a model in an arena that the application owns; [`observer`] looks at
//! each layer. For every application.
//!
//! # Kernels
//! [`kernels`]: one operator a file, bit-exact with TensorFlow Lite's int8 reference. Below them
//! [`op`]: the operators' parameters, weights, shapes and fixed-point arithmetic. [`stream`] says
//! which rows a layer makes next where several run together. Not called by applications.
//!
//! # Preprocessing
//! [`preprocess`] turns camera frames into model frames, [`classify`] scores into decisions;
//! [`error`] says what can be wrong.
//!
//! # Example
//! ```no_run
//! use pupil_core::interpreter::Interpreter;
//! use pupil_core::model::{Aligned, Model};
//!
//! # static STUDENT: [u8; 4] = *b"PUPL";
//! # fn camera() -> [u8; 784] { [0; 784] }
//! // On a chip: pupil_core::include_model!("student.pupil").
//! let student = Aligned(STUDENT);
//! let model = Model::parse(&student)?;
//! let mut arena = [0i8; 32_768];
//! let mut interpreter = Interpreter::new(&model, &mut arena)?;
//! interpreter.load(&camera())?;
//! let scores = interpreter.run(&mut ())?;
//! let best = (0..scores.len()).max_by_key(|i| scores[*i]).unwrap_or(0);
//! assert!(model.label(best).is_some());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![cfg_attr(not(test), no_std)]

#[cfg(test)]
extern crate std;

pub mod classify;
pub mod error;
pub mod interpreter;
pub mod kernels;
pub mod model;
pub mod observer;
pub mod op;
pub mod preprocess;
pub mod stream;
#[cfg(test)]
mod testing;
