//! `cargo xtask test`: a line per step with its time; a failure names the command that repeats
//! it; last, one line over all tests that ran.

use std::io::{IsTerminal as _, stderr};
use std::process::Command;
use std::time::Instant;

use pupil_tests::cases::{blocks, random};

use super::boards::{all as all_boards, machine, targets};
use super::command::{capture, command, out, target_dir};
use super::{bench, mutants, qemu, rooms, size, toolchain};

/// Tests that ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    passed: usize,
    failed: usize,
    /// Ignored, or without the device that it needs.
    pub skipped: usize,
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// What a step has to say.
struct Report {
    counts: Counts,
    /// Output to show when something failed.
    text: String,
}

impl Report {
    /// Adds `count` cases of a machine: how many are right, and the first that is not.
    fn add(&mut self, name: &str, count: usize, cases: anyhow::Result<(usize, Option<String>)>) {
        match cases {
            Ok((right, first)) => {
                self.counts.passed += right;
                self.counts.failed += count.saturating_sub(right);
                if let Some(first) = first {
                    self.counts.failed = self.counts.failed.max(1);
                    self.text += &format!("{name}: first difference in case {first}\n");
                }
            }
            Err(error) => {
                self.counts.failed += 1;
                self.text += &format!("{error:#}\n");
            }
        }
    }
}

/// A step: its name, what it does, and the function.
type Step = (&'static str, &'static str, fn() -> anyhow::Result<Report>);

const STEPS: [Step; 16] = [
    ("setup", "QEMU and a compiler for bare-metal targets", setup),
    ("fmt", "formatting", || {
        cargo(&["cargo fmt --all --check -- --color never"])
    }),
    ("rooms", "no room uses one above it", || {
        rooms::check()?;
        Ok(one_passed())
    }),
    ("clippy", "lints, warnings are errors", clippy),
    ("no-std", "core for every target, with each feature", no_std),
    (
        "device-lints",
        "lints of what only chips compile",
        device_clippy,
    ),
    ("core", "tests and examples of core", core_tests),
    ("firmware", "the firmware's application with mocks", || {
        cargo(&["cargo test --quiet -p pupil-firmware --lib"])
    }),
    ("tools", "tests of the task runner and the checker", || {
        cargo(&["cargo test --quiet --release -p pupil-tests --lib --bins"])
    }),
    ("trainer", "tests of the trainer", || {
        cargo(&[
            "cargo test --quiet --release -p pupil --lib --bins",
            "cargo test --quiet --release -p pupil --doc",
        ])
    }),
    (
        "cross",
        "the real binary: pipeline, resume, bad input",
        cross,
    ),
    (
        "conformance",
        "kernels on the project's own vectors",
        conformance,
    ),
    (
        "fuzz",
        "mutants of packed models against a second interpreter",
        || {
            // The development profile: overflow checks and debug assertions.
            cargo(&["cargo run --quiet -p pupil-tests --bin fuzz -- --count 10000"])
        },
    ),
    (
        "qemu",
        "device and host to the byte: four boards, random layers and mutants on M4 and M7",
        boards,
    ),
    (
        "size",
        "firmware has its student's kernels and no others",
        linked,
    ),
    ("lock", "Cargo.lock is up to date", || {
        cargo(&["cargo metadata --locked --format-version 1"])
    }),
];

/// Prints the steps.
pub fn list() {
    for (name, what, _) in STEPS {
        out!("{name:<12} {what}");
    }
}

/// Runs the named steps, or all; true if everything passed.
///
/// # Errors
/// An unknown step.
pub fn test(names: &[&str]) -> anyhow::Result<bool> {
    if let Some(unknown) = names.iter().find(|n| STEPS.iter().all(|s| s.0 != **n)) {
        anyhow::bail!("unknown step `{unknown}`\n  do:    cargo xtask test --list");
    }
    let mut all = Counts::default();
    for (name, what, run) in STEPS {
        if !names.is_empty() && !names.contains(&name) {
            continue;
        }
        let start = Instant::now();
        // Some steps take minutes; the finished line replaces this one.
        let live = stderr().is_terminal();
        if live {
            eprint!("  ...  {name:<12}             {what}\r");
        }
        let report = run().unwrap_or_else(|e| Report {
            counts: Counts {
                failed: 1,
                ..Counts::default()
            },
            text: format!("{e:#}\n"),
        });
        let failed = report.counts.failed > 0;
        let mark = if failed { "FAIL" } else { "ok" };
        let seconds = start.elapsed().as_secs_f64();
        if live {
            eprint!("\x1b[2K");
        }
        out!("  {mark:<4} {name:<12} {seconds:>7.1} s   {what}");
        if failed {
            let lines: Vec<&str> = report.text.lines().collect();
            for line in &lines[lines.len().saturating_sub(60)..] {
                out!("       {line}");
            }
            out!("       repeat it alone: cargo xtask test {name}");
        }
        all.add(report.counts);
    }
    out!(
        "{} passed, {} failed, {} skipped",
        all.passed,
        all.failed,
        all.skipped
    );
    Ok(all.failed == 0)
}

/// Runs commands one after the other; their test results are added up, a command without any
/// counts as one test.
fn cargo(lines: &[&str]) -> anyhow::Result<Report> {
    run_all(lines.iter().map(|l| command(l)))
}

fn run_all(commands: impl IntoIterator<Item = Command>) -> anyhow::Result<Report> {
    let mut report = Report {
        counts: Counts::default(),
        text: String::new(),
    };
    for mut command in commands {
        let output = capture(&mut command)?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        let mut counts = read_counts(&text);
        match (output.status.success(), counts == Counts::default()) {
            (true, true) => counts.passed = 1,
            (false, _) => counts.failed = counts.failed.max(1),
            (true, false) => {}
        }
        report.counts.add(counts);
        report.text += &text;
    }
    Ok(report)
}

/// Sums "test result: …" lines of cargo test and total lines "N passed, N failed, N skipped".
pub fn read_counts(text: &str) -> Counts {
    let mut counts = Counts::default();
    for line in text.lines() {
        let rest = match line.strip_prefix("test result:") {
            Some(rest) => {
                rest.trim_start_matches([' ', '.', 'o', 'k', 'F', 'A', 'I', 'L', 'E', 'D'])
            }
            None if line.ends_with(" skipped") && line.contains(" passed, ") => line,
            None => continue,
        };
        for part in rest.split([';', ',']) {
            let mut words = part.split_whitespace();
            let number = words.next().and_then(|n| n.parse::<usize>().ok());
            match (number, words.next()) {
                (Some(n), Some("passed")) => counts.passed += n,
                (Some(n), Some("failed")) => counts.failed += n,
                (Some(n), Some("ignored" | "skipped")) => counts.skipped += n,
                _ => {}
            }
        }
    }
    counts
}

fn linked() -> anyhow::Result<Report> {
    size::check()?;
    Ok(one_passed())
}

fn setup() -> anyhow::Result<Report> {
    toolchain::setup()?;
    Ok(one_passed())
}

fn one_passed() -> Report {
    Report {
        counts: Counts {
            passed: 1,
            ..Counts::default()
        },
        text: String::new(),
    }
}

fn clippy() -> anyhow::Result<Report> {
    cargo(&[
        // One profile for all that needs the trainer, whose dependencies are slow to build.
        "cargo clippy --quiet --release --all-targets -- -D warnings",
        "cargo clippy --quiet --release -p pupil-firmware --all-targets -- -D warnings",
    ])
}

fn no_std() -> anyhow::Result<Report> {
    let toolchain = toolchain::setup()?;
    const EXAMPLE: &str = "--manifest-path core/examples/no_std/Cargo.toml --locked";
    let check = |target: &str, words: &str| {
        let words = format!("cargo check --quiet --target {target} {words}");
        let mut check = toolchain.cargo(&words);
        check.env("RUSTFLAGS", "-D warnings");
        check
    };
    let of_core = ["", "--features defmt", "--features dsp"];
    let of_core = of_core.map(|features| format!("-p pupil-core {features}"));
    let builds = of_core.into_iter().chain([EXAMPLE.to_string()]);
    let builds: Vec<String> = builds.collect();
    let checks = targets()
        .into_iter()
        .flat_map(|target| builds.iter().map(move |words| (target, words)));
    let mut report = run_all(checks.map(|(target, words)| check(target, words)))?;
    // A model at any address runs where kernels read any, and can't be built where they do not.
    for target in targets() {
        let output = capture(&mut check(
            target,
            &format!("{EXAMPLE} --features unaligned"),
        ))?;
        let text = String::from_utf8_lossy(&output.stderr);
        let refused = !output.status.success() && text.contains("include_model!");
        let right = match target.starts_with("thumbv7em-") {
            true => refused,
            false => output.status.success(),
        };
        report.counts.passed += usize::from(right);
        report.counts.failed += usize::from(!right);
        if !right {
            report.text += &format!("{target}: the example's `unaligned`: {text}\n");
        }
    }
    Ok(report)
}

/// What only a build for a chip compiles: boards, start-up, fault handlers.
fn device_clippy() -> anyhow::Result<Report> {
    let toolchain = toolchain::setup()?;
    let checks = all_boards().into_iter().enumerate().map(|(i, machine)| {
        let board = machine.board;
        // The program `bench` needs the first board's memory.
        let bench = if i == 0 { ",bench" } else { "" };
        toolchain.clippy(&format!(
            "--quiet --profile firmware -p pupil-firmware --features {}{bench} --target {}",
            board.name, board.target
        ))
    });
    run_all(checks)
}

fn core_tests() -> anyhow::Result<Report> {
    cargo(&["cargo test --quiet -p pupil-core -p pupil-packer"])
}

fn cross() -> anyhow::Result<Report> {
    let build = command("cargo build --quiet --release -p pupil");
    let mut test = command("cargo test --quiet --release -p pupil-tests --test cross");
    test.env("PUPIL_BIN", target_dir().join("release/pupil"));
    run_all([build, test])
}

fn conformance() -> anyhow::Result<Report> {
    cargo(&["cargo run --quiet --release -p pupil-tests --bin conformance -- tests/vectors/own"])
}

fn boards() -> anyhow::Result<Report> {
    let toolchain = toolchain::setup()?;
    let mut report = Report {
        counts: Counts::default(),
        text: String::new(),
    };
    for board in all_boards() {
        match qemu::run_board(&toolchain, board, None) {
            Ok(outcome) => {
                let images = outcome.log.answers.len().max(1);
                let (agree, first) = outcome.agree;
                report.counts.passed += agree;
                report.counts.failed += images - agree.min(images);
                if let Some(first) = first {
                    report.text += &format!("{}: first difference at {first}\n", board.name);
                }
            }
            Err(error) => {
                report.counts.failed += 1;
                report.text += &format!("{error:#}\n");
            }
        }
    }
    for (name, series, count) in RANDOM_CASES {
        let board = machine(name)?;
        let fuzz = bench::build(&toolchain, board, "bench")
            .and_then(|p| bench::fuzz(&p, board, series, count));
        report.add(name, count as usize, fuzz);
    }
    for (name, count) in MUTANTS {
        let board = machine(name)?;
        let fuzz = mutants::build(&toolchain, board)
            .and_then(|p| mutants::run(&p, board, 0, count))
            .map(|outcome| (outcome.right, outcome.findings.into_iter().next()));
        report.add(name, count, fuzz);
    }
    Ok(report)
}

/// Random layers, and random networks in random schedules, that each machine runs.
const RANDOM_CASES: [(&str, bench::Series, u64); 4] = [
    ("mps2-an386", random::case, 1000),
    ("mps2-an386", blocks::case, 200),
    ("mps2-an500", random::case, 500),
    ("mps2-an500", blocks::case, 100),
];

/// Mutants of models that each machine runs between fences.
const MUTANTS: [(&str, usize); 2] = [("mps2-an386", 500), ("mps2-an500", 200)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_added_up_over_all_lines() {
        let text = "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured\nnoise 9 passed\n\
            test result: FAILED. 2 passed; 4 failed; 0 ignored; 0 measured\n\
            10 passed, 1 failed, 2 skipped\n";
        assert_eq!(
            read_counts(text),
            Counts {
                passed: 15,
                failed: 5,
                skipped: 3
            }
        );
        assert_eq!(read_counts("nothing"), Counts::default());
    }

    #[test]
    fn step_names_are_unique() {
        for (i, a) in STEPS.iter().enumerate() {
            assert!(STEPS[..i].iter().all(|b| a.0 != b.0));
        }
    }
}
