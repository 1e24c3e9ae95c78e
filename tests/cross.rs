//! What no single crate can test. A new test goes where its subject is.

// The packed student layer by layer against the slow reference kernels.
mod bit_exact;
// What the real binary says to wrong input.
mod cli;
// Runs that are killed at any moment and whose files are damaged.
mod crash;
// Damaged and missing files of a run, noticed by whoever reads them.
mod damage;
// Files made to hurt.
mod hostile;
// Methods compared through the real binary.
mod compare;
// Crafted images, special files, little memory and a kill, through the real binary.
mod hostile_files;
// The recorded arena against what a run really touches.
mod memory_plan;
// The committed students, damaged in every way.
mod packed_model;
// Output that can't be written.
mod output;
// A project of one's own photos, through the real binary.
mod own_images;
// All six stages through the real binary: results, resume, stop, threads.
mod pipeline;
// Finding and running the binary.
mod support;
// Choices of a training, and what stops one.
mod training;
