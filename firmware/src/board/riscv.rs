//! RISC-V: instructions from the hart's own counter.

use crate::clock::Clock;

/// QEMU 7.2's minstret counts virtual nanoseconds under `-icount shift=6`: 64 an instruction.
const NANOSECONDS: u64 = 64;

/// Counts retired instructions.
pub struct Counter;

impl Clock for Counter {
    fn instructions(&mut self) -> u64 {
        riscv::register::minstret::read64() / NANOSECONDS
    }
}
