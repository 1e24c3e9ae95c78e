//! Pupil's trainer: from a few labeled and many unlabeled images to a packed int8 student.
//!
//! The way of the data is six stages, each a module of [`stages`], a sub-command, and a folder of
//! the run directory: teacher, pseudo-labels, student, distill, quantize, pack.
//!
//! - [`data`]: readers, the image cache, splits, augmentation, batches
//! - [`nn`], [`model`]: parts of nets with fused training operators; the EfficientNet family, the zoo
//! - [`device`]: CPU or GPU; [`threads`]
//! - [`train`]: the loop that every training shares; [`methods`]: what it is told to minimize
//! - [`graph`]: the trained net as a list of operators; calibration and int8
//! - [`compare`]: nets with and without a part, over several seeds
//! - [`config`], [`run_dir`], [`artifacts`], [`record`], [`settings`],
//!   [`checkpoint`], [`pipeline`]: what was
//!   asked, what is done
//! - [`report`], [`inspect`], [`commands`], [`progress`], [`cli`], [`console`]: what people see
#![recursion_limit = "256"]
// They panic where they can't write; `console` prints.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod artifacts;
pub mod checkpoint;
pub mod cli;
pub mod commands;
pub mod compare;
pub mod config;
pub mod console;
pub mod data;
pub mod device;
pub mod graph;
pub mod inspect;
pub mod limits;
pub mod methods;
pub mod model;
pub mod nn;
pub mod pipeline;
pub mod progress;
pub mod random;
pub mod record;
pub mod report;
pub mod run_dir;
pub mod settings;
pub mod stages;
pub mod tensor_file;
pub mod threads;
pub mod train;
