//! Forbids access to pieces of memory with the memory protection unit: a read or write there is a
//! fault at a known instruction.
#![allow(unsafe_code)] // takes memory away

use cortex_m::asm::{dsb, isb};
use cortex_m::peripheral::MPU;

/// Bytes of a fence, and what its address is a multiple of.
pub const FENCE: usize = 1024;

/// Regions that the unit of a Cortex-M4 or M7 has at least.
const REGIONS: u32 = 8;

/// The region of the fence below the stack; those before it are set anew for every case.
const STACK: u32 = REGIONS - 1;

/// Depth of the stack at which a fence begins, and the bytes of that fence.
const STACK_ROOM: usize = 32 * 1024;

/// Privileged code keeps the default map where no region says otherwise.
const ENABLE: u32 = 0b101;

/// The memory protection unit.
#[derive(Debug)]
pub struct Fences(());

impl Fences {
    /// Puts up a fence below the stack. None where somebody has taken the peripherals, or there is no
    /// such unit.
    pub fn take() -> Option<Self> {
        cortex_m::Peripherals::take()?;
        // SAFETY: a read of a register that only says how many regions there are.
        let regions = unsafe { (*MPU::PTR)._type.read() } >> 8 & 0xff;
        if regions < REGIONS {
            return None;
        }
        let mut fences = Self(());
        let top = super::stack::stack_top() - STACK_ROOM;
        fences.region(STACK, top - STACK_ROOM, STACK_ROOM);
        Some(fences)
    }

    /// Removes all fences but the one below the stack.
    pub fn open(&mut self) {
        for region in 0..STACK {
            self.region(region, 0, 0);
        }
    }

    /// Puts fences on the [`FENCE`] bytes from each of these addresses. Others are removed.
    pub fn close(&mut self, places: &[usize]) {
        self.open();
        for (region, place) in (0..STACK).zip(places) {
            self.region(region, *place, FENCE);
        }
    }

    /// No access to `len` bytes from `at`, a power of two and a multiple of it; 0 for no region.
    fn region(&mut self, region: u32, at: usize, len: usize) {
        const NO_ACCESS: u32 = 1 << 28;
        const VALID: u32 = 1 << 4;
        let size = (len.max(32).ilog2() - 1) << 1;
        let attributes = if len > 0 { NO_ACCESS | size | 1 } else { 0 };
        let base = at & !(len.max(32) - 1);
        dsb();
        // SAFETY: `self` is the only owner of the unit. No access is less than before; whoever puts up
        // a fence does not use what lies there, and the compiler holds no value in it.
        unsafe {
            let mpu = &*MPU::PTR;
            mpu.rbar.write(base as u32 | VALID | region);
            mpu.rasr.write(attributes);
            mpu.ctrl.write(ENABLE);
        }
        dsb();
        isb();
    }
}
