//! Cortex-M: ticks from SysTick, and the fault handler.
#![allow(unsafe_code)] // cortex-m-rt wants its fault handler unsafe

use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_rt::{ExceptionFrame, exception};

use super::console::{Console, exit};
use crate::clock::{Clock, DownCounter};
use crate::protocol::{Line, Output};

/// Bits of SysTick.
const BITS: u32 = 24;

/// Core clock ticks, counted by SysTick over its full range. It wraps after 2^24 ticks, 0.67 s at
/// 25 MHz: a single layer must not take longer.
#[derive(Debug)]
pub struct Ticks(DownCounter);

impl Ticks {
    /// Starts SysTick; none where somebody has taken it.
    pub fn start() -> Option<Self> {
        let mut systick = cortex_m::Peripherals::take()?.SYST;
        systick.set_clock_source(SystClkSource::Core);
        systick.set_reload((1 << BITS) - 1);
        systick.clear_current();
        systick.enable_counter();
        Some(Self(DownCounter::new(BITS, SYST::get_current())))
    }
}

impl Clock for Ticks {
    fn ticks(&mut self) -> u64 {
        self.0.update(SYST::get_current())
    }
}

/// A fault says where and ends with 102.
#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    let mut line = Line::new("error");
    line.text("what", "hard-fault").number("pc", frame.pc());
    Console.line(line.as_str());
    exit(102)
}
