//! RISC-V: core cycles as ticks, and the fault handler.
#![allow(unsafe_code)] // exports the name that riscv-rt calls

use riscv::register::{mcause, mcycle, mepc};

use super::console::{Console, exit};
use crate::clock::Clock;
use crate::protocol::{Line, Output};

/// Core cycles, counted by the hart in 64 bits. In QEMU with `-icount` a cycle is a nanosecond of
/// its time, which is made of instructions (`instret` would be one or the other, by version).
#[derive(Debug)]
pub struct Ticks(());

impl Ticks {
    /// The counter always runs.
    pub fn start() -> Option<Self> {
        Some(Self(()))
    }
}

impl Clock for Ticks {
    fn ticks(&mut self) -> u64 {
        mcycle::read64()
    }
}

/// A fault says where and ends with 102.
// SAFETY: the name is riscv-rt's for this handler, and the signature is the one it calls.
#[unsafe(export_name = "ExceptionHandler")]
extern "C" fn exception_handler(_: &riscv_rt::TrapFrame) -> ! {
    let mut line = Line::new("error");
    line.text("what", "fault")
        .size("cause", mcause::read().bits())
        .size("pc", mepc::read());
    Console.line(line.as_str());
    exit(102)
}
