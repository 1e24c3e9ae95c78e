//! What is true of one chip only. The one place of `unsafe` in this crate.
//!
//! `cases` reads the cases of the programs `bench` and `mutants` from the host, `fences` guards memory for the latter, `memory` holds the statics (model, test images, arena), `stack` paints the stack, `console`
//! prints and ends the program, `cortex_m` and `riscv` hold each family's clock and fault handlers.

#[cfg(feature = "bench")]
mod cases;
mod console;
#[cfg(target_arch = "arm")]
mod cortex_m;
#[cfg(all(feature = "bench", target_arch = "arm"))]
mod fences;
mod memory;
#[cfg(target_arch = "riscv32")]
mod riscv;
mod stack;

#[cfg(feature = "bench")]
pub use self::cases::{Workplace, take_workplace};
pub use self::console::{Console, exit, fail};
#[cfg(target_arch = "arm")]
pub use self::cortex_m::Ticks;
#[cfg(all(feature = "bench", target_arch = "arm"))]
pub use self::fences::{FENCE, Fences};
pub use self::memory::{BOARD, Student, images, packed_model, take_arena};
#[cfg(target_arch = "riscv32")]
pub use self::riscv::Ticks;
pub use self::stack::{paint_stack, stack_room, stack_used};
