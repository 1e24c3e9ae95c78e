//! Two columns times four output channels at once: the micro-kernel of every convolution.
//!
//! A column is the input bytes under one output pixel. For each pair of columns the kernel expands
//! their int8 to int16 into scratch memory, interleaved: per four taps the words (0, 2) of column
//! 0, of column 1, then (1, 3) of both. Then it runs over the stream of
//! [`Pairs`](crate::op::pairs::Pairs), block by block.
//!
//! # Registers
//! Inner loop: r0 x, r1 weights, r2–r5 column 0 (A0, R0, A2, R2), r6–r9 column 1, r10 r11 x words,
//! r12 lr weight words, unpacked in place: all 14. No counter: 16 steps are a pass, the carry says at its end
//! whether another one follows, and the first pass is entered where the number of steps demands. The
//! first step of a block is apart, because it brings the biases in. Everything else is in the frame.
//!
//! # Counts
//! A step is 12 instructions for 16 multiply-accumulates: 2 LDRD, 8 SMLAD, 2 SXTB16. A block adds
//! 1, and 3 for each pass of 16 steps, and for its 8 outputs: ReLU 47, 42 with doubled inputs,
//! general 59, with table 70. Expansion: 24 for 16 taps of both columns (42 doubled) where rows
//! are aligned words, 10 for 4 taps at any address, 62 for 3x3 windows of three channels. A pair of
//! columns adds 19, and each further row 9.
//!
//! # Parts
//! The ways into the loop (expansions), out of it (modes), and to the next pair have sections of their
//! own. The frame names one of each, and the linker leaves out those that no layer of the program's
//! [`OperatorSet`](crate::kernels::OperatorSet) needs.
//!
//! `kernel` and `macros` have the assembly, `border` that of columns at the image's border, `frame`
//! says what it is called with, `run` calls it.

#[macro_use]
mod macros;

mod border;
mod frame;
mod kernel;
mod run;

pub use frame::Expand;
pub use run::{Columns, Gemm, Lines, Side};
