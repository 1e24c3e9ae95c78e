//! Counting time, or work.

/// Counts ticks that never run backwards.
///
/// On hardware a tick is a timer's period or a core cycle. In QEMU with `-icount` time is made of
/// instructions, so ticks tell how many instructions ran: exact and the same at every run, but
/// nothing about how long they take.
pub trait Clock {
    /// Ticks since some moment. The application reads it before and after every layer, so that a
    /// short hardware counter may wrap once between two readings.
    fn ticks(&mut self) -> u64;
}

/// Makes a long count of a short hardware counter that counts down and wraps at 2^`bits`.
#[derive(Clone, Copy, Debug)]
pub struct DownCounter {
    mask: u32,
    last: u32,
    total: u64,
}

impl DownCounter {
    /// Starts at zero; `now` is what the hardware shows, `bits` its width (1 to 32).
    pub const fn new(bits: u32, now: u32) -> Self {
        let mask = if bits >= 32 {
            u32::MAX
        } else {
            (1 << bits) - 1
        };
        Self {
            mask,
            last: now,
            total: 0,
        }
    }

    /// The long count when the hardware shows `now`; call it once a period at least.
    pub const fn update(&mut self, now: u32) -> u64 {
        self.total += (self.last.wrapping_sub(now) & self.mask) as u64;
        self.last = now;
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wraps_are_counted_through() {
        let mut counter = DownCounter::new(24, 5);
        assert_eq!(counter.update(5), 0);
        assert_eq!(counter.update(0), 5);
        assert_eq!(counter.update(0xff_ffff), 6);
        assert_eq!(counter.update(0), 6 + 0xff_ffff);
        let mut wide = DownCounter::new(32, 0);
        assert_eq!(wide.update(u32::MAX), 1);
        assert_eq!(wide.update(0), 1 + u64::from(u32::MAX));
    }
}
