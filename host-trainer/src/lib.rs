//! Pupil's trainer: from a few labeled and many unlabeled images to a packed int8 student.
//!
//! The rooms of this crate, each of which uses only those above it:
//!
//! 1. [`util`]: files, threads, random streams, numbers for people, printing
//! 2. [`data`]: images: readers, the cache, splits, augmentation, batches
//! 3. [`nn`]: parts of nets, with fused training operators; the device that they run on
//! 4. [`net`]: whole nets: EfficientNet, the zoo, their graphs of operators, int8, checkpoints
//! 5. [`eval`]: how many answers of a net are right, in f32 and in int8
//! 6. [`train`]: the loop that every training shares, and its parts
//! 7. [`methods`]: what the loop is told to minimize: ways of learning from unlabeled images
//! 8. [`config`]: the settings of a run, `run.toml`
//! 9. [`run`]: the run directory and its six stages
//! 10. [`report`]: tables, charts and pages of what a run has left
//! 11. [`experiments`]: methods, nets and recipes compared over several seeds
//! 12. [`cli`]: the command line
#![recursion_limit = "256"]
#![warn(unreachable_pub)]
// Rooms are documented for who works on them: `cargo doc -p pupil --document-private-items`.
#![allow(rustdoc::private_intra_doc_links)]
// They panic where they can't write; `console` prints.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod cli;
pub(crate) mod config;
pub mod data;
pub mod eval;
pub(crate) mod experiments;
pub(crate) mod methods;
pub mod net;
pub mod nn;
pub(crate) mod report;
pub(crate) mod run;
pub mod train;
pub mod util;
