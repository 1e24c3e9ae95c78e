//! One memory budget over all readers and their threads.
//!
//! A file may announce any size. What reading it takes is reserved here first: a thread waits
//! while others hold too much, in the order of asking, and what is more than the whole budget is
//! refused. A thread never waits while it holds memory, so no two can wait for each other.

mod available;

use crate::util::numbers::bytes;
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use thiserror::Error;

/// Most that readers take, however much there is.
const MOST: u64 = 2 << 30;
/// Least that they count on.
const LEAST: u64 = 16 << 20;

/// More than the whole budget.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error(
    "it takes {} of memory, {} may be used",
    bytes(*needed),
    bytes(*limit)
)]
pub struct TooLarge {
    /// Bytes.
    pub needed: u64,
    /// Bytes of the budget.
    pub limit: u64,
}

/// Bytes that threads share.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: u64,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    used: u64,
    /// Number of the next thread that asks.
    next: u64,
    /// Number of the thread whose turn it is.
    turn: u64,
}

/// A part of a budget, given back when dropped.
#[derive(Debug)]
pub(crate) struct Reserved<'a> {
    budget: &'a Budget,
    bytes: u64,
}

/// What came of growing a [`Reserved`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grown {
    /// It has grown.
    Done,
    /// Others hold too much now: give back everything, then ask for this many bytes in all.
    Later(u64),
}

impl Budget {
    /// Of `limit` bytes.
    pub(crate) fn of(limit: u64) -> Self {
        Self {
            limit,
            state: Mutex::default(),
            freed: Condvar::new(),
        }
    }

    /// The process's own: half of the memory that limits of the process, of its control group
    /// and the machine leave, at most 2 GiB.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Budget> = OnceLock::new();
        SHARED.get_or_init(|| Self::of((available::bytes() / 2).clamp(LEAST, MOST)))
    }

    /// Bytes of the whole budget.
    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    /// Checks what can't be reserved, because it lives as long as the set.
    ///
    /// # Errors
    /// More than the whole budget.
    pub(crate) fn check(&self, needed: u64) -> Result<(), TooLarge> {
        if needed > self.limit {
            return Err(TooLarge {
                needed,
                limit: self.limit,
            });
        }
        Ok(())
    }

    /// Waits until `bytes` are free. The caller must hold no other part of the budget.
    ///
    /// # Errors
    /// More than the whole budget.
    pub(crate) fn reserve(&self, bytes: u64) -> Result<Reserved<'_>, TooLarge> {
        self.check(bytes)?;
        let mut state = self.state();
        let mine = state.next;
        state.next += 1;
        while state.turn != mine || state.used + bytes > self.limit {
            state = self
                .freed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.turn += 1;
        state.used += bytes;
        drop(state);
        self.freed.notify_all();
        Ok(Reserved {
            budget: self,
            bytes,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reserved<'_> {
    /// Takes `more` bytes if they are free, without waiting.
    ///
    /// # Errors
    /// More than the whole budget.
    pub(crate) fn grow(&mut self, more: u64) -> Result<Grown, TooLarge> {
        let all = self.bytes.saturating_add(more);
        self.budget.check(all)?;
        let mut state = self.budget.state();
        if state.used + more > self.budget.limit {
            return Ok(Grown::Later(all));
        }
        state.used += more;
        self.bytes = all;
        Ok(Grown::Done)
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        self.budget.state().used -= self.bytes;
        self.budget.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn threads_together_never_hold_more_than_the_budget() {
        let budget = Budget::of(1000);
        let (held, most) = (AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for thread in 0..8u64 {
                let (budget, held, most) = (&budget, &held, &most);
                scope.spawn(move || {
                    for i in 0..200 {
                        // Now and then all of it: it waits, and is not refused.
                        let size = if i % 50 == thread {
                            1000
                        } else {
                            37 * thread + i
                        };
                        let _part = budget.reserve(size).unwrap();
                        let now = held.fetch_add(size, Ordering::SeqCst) + size;
                        most.fetch_max(now, Ordering::SeqCst);
                        held.fetch_sub(size, Ordering::SeqCst);
                    }
                });
            }
        });
        assert!(most.into_inner() <= 1000);
        assert_eq!(budget.state().used, 0);
    }

    #[test]
    fn growing_never_waits_and_more_than_everything_is_refused() {
        let budget = Budget::of(100);
        let mut first = budget.reserve(40).unwrap();
        let mut second = budget.reserve(40).unwrap();
        assert_eq!(first.grow(20), Ok(Grown::Done));
        assert_eq!(second.grow(30), Ok(Grown::Later(70)));
        assert_eq!(
            second.grow(61),
            Err(TooLarge {
                needed: 101,
                limit: 100
            })
        );
        drop(first);
        assert_eq!(second.grow(60), Ok(Grown::Done));
        assert!(budget.reserve(101).is_err());
        drop(second);
        assert_eq!(budget.state().used, 0);
    }
}
