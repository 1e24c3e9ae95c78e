//! Progress on stderr: a bar on a terminal, a plain line per epoch elsewhere, both with the time
//! that is left for all stages.

use std::io::IsTerminal;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::run::stage::Stage;
use crate::train::Epoch;
use crate::util::console;

/// Work of a run in multiply-accumulates, and how much of it is done; trainings side by side may
/// share it.
pub(crate) struct Progress {
    total: f64,
    done: Mutex<Done>,
    bar: Option<ProgressBar>,
    quiet: bool,
}

/// How far a run is.
struct Done {
    work: f64,
    /// Work done and time when this process began to measure its speed.
    start: (f64, Instant),
}

impl Progress {
    /// For `total` work; `quiet` prints nothing.
    pub(crate) fn new(total: f64, quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal() && !quiet;
        let bar = terminal.then(|| {
            let bar = ProgressBar::with_draw_target(Some(1000), ProgressDrawTarget::stderr());
            let colored = std::env::var_os("NO_COLOR").is_none();
            let style = if colored {
                "  {bar:30.cyan} {msg}"
            } else {
                "  {bar:30} {msg}"
            };
            bar.with_style(
                ProgressStyle::with_template(style).unwrap_or(ProgressStyle::default_bar()),
            )
        });
        Self {
            total,
            done: Mutex::new(Done {
                work: 0.0,
                start: (0.0, Instant::now()),
            }),
            bar,
            quiet,
        }
    }

    fn done(&self) -> MutexGuard<'_, Done> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts work of a stage that an earlier run has done.
    pub(crate) fn skip(&self, work: f64) {
        let mut done = self.done();
        done.work += work;
        done.start = (done.work, Instant::now());
    }

    /// Counts work just done.
    pub(crate) fn advance(&self, work: f64) {
        let mut done = self.done();
        done.work += work;
        if let Some(bar) = &self.bar {
            bar.set_position((1000.0 * done.work / self.total.max(1.0)) as u64);
        }
    }

    /// The time left at the speed so far; none in the first two seconds.
    fn left(&self) -> Option<Duration> {
        let done = self.done();
        let (before, since) = done.start;
        let (worked, time) = (done.work - before, since.elapsed().as_secs_f64());
        if time < 2.0 || worked <= 0.0 {
            return None;
        }
        let rest = (self.total - done.work).max(0.0) * time / worked;
        Some(Duration::from_secs_f64(rest))
    }

    /// A line about the run or a stage.
    pub(crate) fn say(&self, line: &str) {
        if self.quiet {
            return;
        }
        match &self.bar {
            Some(bar) => bar.suspend(|| console::note(line)),
            None => console::note(line),
        }
    }

    /// The beginning of a stage.
    pub(crate) fn stage(&self, stage: Stage, what: &str) {
        self.say(&format!("{} {:<14} {what}", stage.number(), stage.word()));
    }

    /// The end of an epoch of training.
    pub(crate) fn epoch(&self, name: &str, epoch: &Epoch, steps: u64) {
        let left = self
            .left()
            .map_or(String::new(), |l| format!("   about {} left", minutes(l)));
        let line = format!(
            "  {name} step {}/{steps}   loss {:.3}   validation {:.1} %{left}",
            epoch.step,
            epoch.loss,
            100.0 * epoch.validation
        );
        match &self.bar {
            Some(bar) => bar.set_message(console::escaped(line.trim_start()).into_owned()),
            None => self.say(&line),
        }
    }

    /// Removes the bar.
    pub(crate) fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// "45 s", "3 min 20 s".
pub(crate) fn minutes(time: Duration) -> String {
    let seconds = time.as_secs_f64().round() as u64;
    if seconds < 60 {
        format!("{seconds} s")
    } else {
        format!("{} min {:02} s", seconds / 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_well() {
        assert_eq!(minutes(Duration::from_secs_f64(59.4)), "59 s");
        assert_eq!(minutes(Duration::from_secs(200)), "3 min 20 s");
    }

    #[test]
    fn skipped_work_does_not_count_as_speed() {
        let p = Progress::new(100.0, true);
        p.skip(90.0);
        assert!(p.left().is_none());
        p.done().start = (90.0, Instant::now() - Duration::from_secs(10));
        p.advance(5.0);
        let left = p.left().unwrap().as_secs_f64();
        assert!((left - 10.0).abs() < 0.5, "{left}");
    }
}
