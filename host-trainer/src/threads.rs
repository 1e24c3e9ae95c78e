//! The program as one of its own worker threads.
//!
//! A training step is some fifty short parallel loops. Called from outside the pool, each of them
//! would put the caller to sleep and wake a worker, and the other one after it: a third of a
//! step's time on two cores. From inside, the caller begins at once and the others are still awake.

use rayon::ThreadPoolBuilder;

/// Room for the recursion of deep nets' graphs, as a program's first thread has it.
const STACK: usize = 8 << 20;

/// Calls `work` on a thread of the pool, which has as many as there are cores, or as
/// `RAYON_NUM_THREADS` says.
pub fn inside<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    // A pool that exists already serves as well.
    let _ = ThreadPoolBuilder::new().stack_size(STACK).build_global();
    rayon::scope(|_| work())
}

#[cfg(test)]
mod tests {
    #[test]
    fn work_is_a_thread_of_the_pool() {
        assert!(super::inside(rayon::current_thread_index).is_some());
    }
}
