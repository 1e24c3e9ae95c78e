//! x86-64. Every export is the portable one; a kernel in vector instructions would take the place of
//! one of them, in a file named after its operator.

pub use super::portable::{WORD_ALIGNED, mean_finish, mean_rows, run};

use super::Isa;

/// Its name.
pub const ISA: Isa = Isa::X86;
