//! Mutants of packed models, by number, on this computer: `fuzz [--from N] [--count N]
//! [--seconds N] [--out DIR]`. Exit codes: 0 all right, 1 a finding, 2 usage.
//!
//! Built in the development profile, it runs with overflow checks and debug assertions.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use pupil_core::model::Model;
use pupil_tests::fuzz::Mutants;
use pupil_tests::fuzz::oracle::{Limits, Verdict};

/// Where and why the last panic was.
static PANIC: Mutex<String> = Mutex::new(String::new());

struct Options {
    from: u64,
    count: u64,
    time: Duration,
    out: Option<PathBuf>,
}

fn options() -> Option<Options> {
    let mut options = Options {
        from: 0,
        count: 5000,
        time: Duration::MAX,
        out: None,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next()?;
        match word.as_str() {
            "--from" => options.from = value.parse().ok()?,
            "--count" => options.count = value.parse().ok()?,
            "--seconds" => {
                options.time = Duration::from_secs(value.parse().ok()?);
                options.count = u64::MAX / 2;
            }
            "--out" => options.out = Some(value.into()),
            _ => return None,
        }
    }
    Some(options)
}

fn main() -> ExitCode {
    let Some(options) = options() else {
        eprintln!("usage: fuzz [--from N] [--count N] [--seconds N] [--out DIR]");
        return ExitCode::from(2);
    };
    std::panic::set_hook(Box::new(|info| {
        if let Ok(mut text) = PANIC.lock() {
            *text = info.to_string();
        }
    }));
    let (start, mut mutants) = (Instant::now(), Mutants::default());
    let (mut right, mut skipped, mut wrong) = (0u64, 0u64, 0u64);
    let mut refused: BTreeMap<String, u64> = BTreeMap::new();
    let mut kinds = Kinds::default();
    let mut index = options.from;
    while index < options.from + options.count && start.elapsed() < options.time {
        let judged = catch_unwind(AssertUnwindSafe(|| mutants.judge(index, Limits::default())));
        let judged = judged.unwrap_or_else(|_| {
            let text = PANIC.lock().map(|t| t.clone()).unwrap_or_default();
            Err(format!("panic: {text}"))
        });
        match judged {
            Ok((Verdict::Right(_), bytes)) => {
                right += 1;
                kinds.count(&bytes);
            }
            Ok((Verdict::Skipped, _)) => skipped += 1,
            Ok((Verdict::Refused(error), _)) => *refused.entry(kind(&error)).or_default() += 1,
            Err(what) => {
                wrong += 1;
                println!("FINDING in mutant {index}: {what}");
                keep(&options, &mut mutants, index);
            }
        }
        if options.count == 1 {
            keep(&options, &mut mutants, index);
        }
        index += 1;
    }
    let all = index - options.from;
    let accepted = right + skipped + wrong;
    println!(
        "{all} mutants in {:.1} s: {accepted} accepted ({:.0} %), {right} of them run and right, \
         {skipped} larger than the limits",
        start.elapsed().as_secs_f64(),
        100.0 * accepted as f64 / all.max(1) as f64
    );
    let mut refused: Vec<(String, u64)> = refused.into_iter().collect();
    refused.sort_by_key(|r| std::cmp::Reverse(r.1));
    let words = refused.iter().map(|(kind, n)| format!("{kind} {n}"));
    println!("refused: {}", words.collect::<Vec<_>>().join(", "));
    println!("{kinds}");
    println!("{right} passed, {wrong} failed, 0 skipped");
    ExitCode::from(u8::from(wrong > 0))
}

/// What occurs in the models that have run.
#[derive(Default)]
struct Kinds {
    operators: u64,
    streams: u64,
    by_rows: u64,
}

impl Kinds {
    fn count(&mut self, packed: &[u8]) {
        if let Ok(model) = Model::parse(packed) {
            self.operators |= model.operator_set().bits();
            self.streams += u64::from(packed.get(4) == Some(&3));
            self.by_rows += u64::from(model.reads_rows());
        }
    }
}

impl std::fmt::Display for Kinds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "run: {} kinds of kernels, {} models with streams, {} of them read the frame by rows",
            self.operators.count_ones(),
            self.streams,
            self.by_rows
        )
    }
}

/// An error without its numbers.
fn kind(error: &pupil_core::error::ModelError) -> String {
    let text = format!("{error:?}");
    let name = text.split([' ', '{']).next().unwrap_or_default();
    let what = text.split("what: ").nth(1).unwrap_or_default();
    let what = what.trim_end_matches([' ', '}']);
    format!("{name} {what}").trim().to_owned()
}

/// Writes a mutant's bytes, where that is wished.
fn keep(options: &Options, mutants: &mut Mutants, index: u64) {
    let Some(folder) = &options.out else {
        return;
    };
    let bytes = catch_unwind(AssertUnwindSafe(|| mutants.get(index)));
    if let Ok(Ok(bytes) | Err((_, bytes))) = bytes {
        let path = folder.join(format!("mutant-{index}.pupil"));
        if let Err(error) = std::fs::write(&path, bytes) {
            eprintln!("error: {}: {error}", path.display());
        }
    }
}
