//! Cortex-M: instructions from SysTick.
//!
//! QEMU's `-icount shift=6` makes an instruction 64 ns of virtual time, and SysTick runs at the
//! machine's clock, so ticks are instructions times 64 ns times the frequency. The counter has 24
//! bits; it is read at every layer, so at most one wrap lies between two readings.

use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;

use crate::clock::Clock;

/// SysTick's frequency in Hz.
#[cfg(feature = "mps2-an386")]
const FREQUENCY: u64 = 25_000_000;
#[cfg(feature = "mps3-an547")]
const FREQUENCY: u64 = 32_000_000;
#[cfg(feature = "microbit")]
const FREQUENCY: u64 = 16_000_000;

/// Virtual nanoseconds of an instruction.
const NANOSECONDS: u64 = 64;

/// Counts instructions with SysTick.
pub struct Counter {
    last: u32,
    ticks: u64,
}

impl Counter {
    /// Starts SysTick over its full range.
    pub fn start(systick: &mut SYST) -> Self {
        systick.set_clock_source(SystClkSource::Core);
        systick.set_reload(0x00ff_ffff);
        systick.clear_current();
        systick.enable_counter();
        Self {
            last: SYST::get_current(),
            ticks: 0,
        }
    }
}

impl Clock for Counter {
    fn instructions(&mut self) -> u64 {
        let now = SYST::get_current();
        // It counts down; the difference modulo 2^24 holds over one wrap.
        self.ticks += u64::from(self.last.wrapping_sub(now) & 0x00ff_ffff);
        self.last = now;
        self.ticks * 1_000_000_000 / (FREQUENCY * NANOSECONDS)
    }
}
