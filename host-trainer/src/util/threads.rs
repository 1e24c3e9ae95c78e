//! The program as one of its own worker threads.
//!
//! A training step is some fifty short parallel loops. Called from outside the pool, each of them
//! would put the caller to sleep and wake a worker, and the other one after it: a third of a
//! step's time on two cores. From inside, the caller begins at once and the others are still awake.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use rayon::ThreadPoolBuilder;

/// Room for the recursion of deep nets' graphs, as a program's first thread has it.
const STACK: usize = 8 << 20;

/// Calls `work` on a thread of the pool, which has as many as there are cores, or as
/// `RAYON_NUM_THREADS` says.
pub fn inside<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    let builder = ThreadPoolBuilder::new().stack_size(STACK);
    // What can't be started once rayon never tries again: only what can be is asked for.
    let builder = match startable(wanted()) {
        0 => builder.num_threads(1).use_current_thread(),
        count => builder.num_threads(count),
    };
    // A pool that exists already serves as well.
    let _ = builder.build_global();
    rayon::scope(|_| work())
}

/// As rayon itself counts: `RAYON_NUM_THREADS`, else the cores.
fn wanted() -> usize {
    let set = std::env::var("RAYON_NUM_THREADS").ok();
    match set.and_then(|n| n.parse().ok()) {
        Some(count) if count > 0 => count,
        _ => std::thread::available_parallelism().map_or(1, usize::from),
    }
}

/// How many of `wanted` threads the system gives: `ulimit -v` and `-u` may leave fewer.
fn startable(wanted: usize) -> usize {
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let held = std::sync::Arc::new(Mutex::new(held));
    let mut started = Vec::new();
    for _ in 0..wanted {
        let held = held.clone();
        let wait = move || {
            let held = held.lock().unwrap_or_else(PoisonError::into_inner);
            // Until the sender is gone.
            let _ = held.recv();
        };
        match std::thread::Builder::new().stack_size(STACK).spawn(wait) {
            Ok(thread) => started.push(thread),
            Err(_) => break,
        }
    }
    drop(hold);
    let count = started.len();
    for thread in started {
        let _ = thread.join();
    }
    count
}

/// `count` pieces of work, `jobs` at a time, each on its share of the pool's threads; results in
/// order. After a failure no other piece begins.
///
/// A small net's training on one thread takes less than twice its time on two: trainings side by
/// side end earlier than one after the other, with the same results.
///
/// # Errors
/// The first failure in the order of the pieces.
pub fn side_by_side<R: Send, E: Send>(
    count: usize,
    jobs: usize,
    work: impl Fn(usize) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let jobs = jobs.clamp(1, count.max(1));
    if jobs == 1 {
        return (0..count).map(work).collect();
    }
    let threads = (rayon::current_num_threads() / jobs).max(1);
    let next = AtomicUsize::new(0);
    let results: Vec<Mutex<Option<Result<R, E>>>> = (0..count).map(|_| Mutex::new(None)).collect();
    let worker = || {
        loop {
            let piece = next.fetch_add(1, Ordering::Relaxed);
            let Some(place) = results.get(piece) else {
                return;
            };
            let result = work(piece);
            if result.is_err() {
                next.store(count, Ordering::Relaxed);
            }
            *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        }
    };
    std::thread::scope(|scope| {
        for job in 0..jobs {
            let work = || {
                let pool = ThreadPoolBuilder::new()
                    .stack_size(STACK)
                    .num_threads(threads)
                    .build();
                match pool {
                    Ok(pool) => pool.install(worker),
                    // Threads are short: the common pool serves as well.
                    Err(_) => worker(),
                }
            };
            // The work is shared: fewer workers do it too, and the first may be this thread.
            if std::thread::Builder::new()
                .spawn_scoped(scope, work)
                .is_err()
            {
                if job == 0 {
                    worker();
                }
                break;
            }
        }
    });
    results
        .into_iter()
        .filter_map(|r| r.into_inner().unwrap_or_else(PoisonError::into_inner))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_back_in_order_and_a_failure_ends_them() {
        for jobs in [1, 2, 5, 100] {
            let squares = side_by_side(20, jobs, |i| Ok::<_, ()>(i * i)).unwrap();
            assert_eq!(squares, (0..20).map(|i| i * i).collect::<Vec<_>>());
            let begun = AtomicUsize::new(0);
            let failed = side_by_side(1000, jobs, |i| {
                begun.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(std::time::Duration::from_millis(1));
                if i == 3 { Err(i) } else { Ok(()) }
            });
            assert_eq!(failed, Err(3));
            assert!(begun.into_inner() <= 4 + 2 * jobs);
        }
        assert_eq!(side_by_side(0, 2, |_| Ok::<(), ()>(())), Ok(vec![]));
    }

    #[test]
    fn a_piece_has_its_share_of_the_threads() {
        let pool = ThreadPoolBuilder::new().num_threads(6).build().unwrap();
        let threads =
            pool.install(|| side_by_side(2, 2, |_| Ok::<_, ()>(rayon::current_num_threads())));
        assert_eq!(threads, Ok(vec![3, 3]));
    }

    #[test]
    fn only_threads_that_start_are_counted() {
        assert_eq!(startable(3), 3);
        assert_eq!(startable(0), 0);
        assert!(wanted() > 0);
    }

    #[test]
    fn work_is_a_thread_of_the_pool() {
        assert!(inside(rayon::current_thread_index).is_some());
    }
}
