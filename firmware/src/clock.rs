//! Counting work.

/// Counts instructions since the program's start.
pub trait Clock {
    /// Instructions so far. Called at least once a layer, so that short counters may wrap in
    /// between.
    fn instructions(&mut self) -> u64;
}
