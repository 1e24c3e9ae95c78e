//! `cargo xtask bench --mutants N`: mutants that the parser accepts, on a chip between fences.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use pupil_core::model::Model;
use pupil_firmware::cases::Work;
use pupil_firmware::protocol::Record;
use pupil_tests::cases::{Case, Random};
use pupil_tests::fuzz::Mutants;
use pupil_tests::fuzz::oracle::{Answer, Limits, Verdict, judge};
use pupil_tests::fuzz::reference;

use super::bench;
use super::boards::{Machine, machine};
use super::command::{capture, command, out, target_dir};
use super::toolchain::{Toolchain, setup};

/// Seconds after which QEMU is stopped.
const LIMIT: u32 = 300;

/// Accepted mutants of one run of QEMU.
const BATCH: usize = 500;

/// What a chip runs of them: models that take no longer than a few million instructions.
const LIMITS: Limits = Limits {
    arena: 1 << 16,
    work: 60_000,
};

/// Most steps of a model.
const STEPS: usize = 1000;

/// What came of mutants.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Models that are right on the chip.
    pub right: usize,
    /// What is not, in words.
    pub findings: Vec<String>,
    /// Mutants that were made, and how many of them a chip ran.
    pub tried: u64,
    sent: usize,
    /// Deepest stack.
    stack: usize,
}

/// The program that runs mutants.
///
/// # Errors
/// What the compiler says.
pub fn build(toolchain: &Toolchain, board: Machine) -> anyhow::Result<PathBuf> {
    bench::build(toolchain, board, "mutants")
}

/// Runs accepted mutants from number `from` on, `count` of them.
///
/// # Errors
/// A program that can't be started.
pub fn run(program: &Path, board: Machine, from: u64, count: usize) -> anyhow::Result<Outcome> {
    let (mut outcome, mut mutants) = (Outcome::default(), Mutants::default());
    while outcome.sent < count {
        let mut cases = Vec::new();
        while cases.len() < BATCH.min(count - outcome.sent) {
            let index = from + outcome.tried;
            outcome.tried += 1;
            let judged = catch_unwind(AssertUnwindSafe(|| mutants.judge(index, LIMITS)));
            let judged = judged.unwrap_or_else(|_| Err("panic on the host".into()));
            match judged {
                Ok((Verdict::Right(answer), model)) if answer.steps <= STEPS => {
                    cases.push(case(format!("mutant {index}"), model, answer));
                }
                Ok(_) => {}
                Err(what) => {
                    let finding = format!("mutant {index} on the host: {what}");
                    out!("FINDING: {finding}");
                    outcome.findings.push(finding);
                }
            }
        }
        outcome.sent += cases.len();
        on_chip(program, board, &cases, &mut outcome)?;
    }
    Ok(outcome)
}

/// Whether arguments of `cargo xtask bench` are for this file.
pub fn wanted(words: &[&str]) -> bool {
    words.iter().any(|w| matches!(*w, "--mutants" | "--model"))
}

/// `cargo xtask bench [MACHINE] [--mutants N [--from M] | --model FILE…]`: true if all models are
/// right.
///
/// # Errors
/// Unknown arguments, or a set-up that fails.
pub fn main(words: &[&str]) -> anyhow::Result<bool> {
    let (mut board, mut count, mut from) = (machine("mps2-an386")?, 0, 0);
    let mut models = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let number = |value: Option<&&str>| {
            let number = value.and_then(|n| n.parse::<u64>().ok());
            number.ok_or_else(|| anyhow!("{word} needs a number"))
        };
        match *word {
            "--mutants" => count = number(words.next())? as usize,
            "--from" => from = number(words.next())?,
            "--model" => models.push(
                *words
                    .next()
                    .ok_or_else(|| anyhow!("--model needs a file"))?,
            ),
            option if option.starts_with('-') => {
                bail!("unknown option `{option}`\n  do:    cargo xtask help")
            }
            name => board = machine(name)?,
        }
    }
    if board.board.name != "mps2-an386" {
        bail!("{}: mutants run on mps2-an386 or mps2-an500", board.name);
    }
    let toolchain = setup()?;
    if models.is_empty() {
        count_up(&toolchain, board, from, count)
    } else {
        files(&toolchain, board, &models)
    }
}

/// Many mutants, with a line from time to time.
fn count_up(
    toolchain: &Toolchain,
    board: Machine,
    mut from: u64,
    count: usize,
) -> anyhow::Result<bool> {
    let program = build(toolchain, board)?;
    let (mut all, mut done) = (Outcome::default(), 0);
    while done < count {
        let part = (10 * BATCH).min(count - done);
        let outcome = run(&program, board, from, part)?;
        done += part;
        from += outcome.tried;
        all.right += outcome.right;
        all.tried += outcome.tried;
        all.stack = all.stack.max(outcome.stack);
        all.findings.extend(outcome.findings);
        out!(
            "{} of {done} accepted mutants right on {}, {} made, {} findings, stack {} bytes; go on \
             with --from {from}",
            all.right,
            board.name,
            all.tried,
            all.findings.len(),
            all.stack
        );
    }
    Ok(all.findings.is_empty())
}

/// Packed models one by one.
fn files(toolchain: &Toolchain, board: Machine, files: &[&str]) -> anyhow::Result<bool> {
    let program = build(toolchain, board)?;
    let mut all = true;
    for file in files {
        let packed = std::fs::read(file).with_context(|| (*file).to_owned())?;
        let limits = Limits {
            arena: 1 << 19,
            work: u64::MAX,
        };
        let answer = match judge(&packed, &mut Random::new(1), limits) {
            Ok(Verdict::Right(answer)) => answer,
            Ok(Verdict::Refused(error)) => {
                out!("{file}: refused: {error}");
                continue;
            }
            Ok(Verdict::Skipped) => bail!("{file}: too large"),
            Err(what) => {
                out!("{file}: on the host: {what}");
                // The reference's scores; the chip's hash can only differ.
                let model = Model::parse(&packed)?;
                let frame = Random::new(1).bytes(model.input().shape.len());
                let mut tensors = reference::tensors(&model, &frame);
                Answer {
                    frame,
                    scores: tensors.pop().unwrap_or_default(),
                    trace: 0,
                    steps: 0,
                }
            }
        };
        let mut outcome = Outcome::default();
        let case = case((*file).to_owned(), packed, answer);
        on_chip(&program, board, &[case], &mut outcome)?;
        all &= outcome.findings.is_empty();
        out!(
            "{file}: {}",
            if outcome.right == 1 { "right" } else { "WRONG" }
        );
    }
    Ok(all)
}

fn case(name: String, model: Vec<u8>, answer: Answer) -> Case {
    let scores = answer.scores.iter().map(|q| *q as u8);
    Case {
        name,
        macs: 0,
        work: Work::Whole,
        model,
        input: answer.frame,
        second: vec![],
        expected: scores.chain(answer.trace.to_le_bytes()).collect(),
    }
}

/// Runs cases; after one that ends the program the rest in another run.
fn on_chip(
    program: &Path,
    board: Machine,
    mut cases: &[Case],
    outcome: &mut Outcome,
) -> anyhow::Result<()> {
    let folder = target_dir().join(format!("mutants-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let before = outcome.findings.len();
    while !cases.is_empty() {
        let mut bytes = Vec::new();
        cases.iter().for_each(|case| case.write(&mut bytes));
        std::fs::write(folder.join("cases.bin"), bytes)?;
        let mut qemu = command(&format!("timeout {LIMIT} {}", board.uncounted()));
        qemu.arg(program).current_dir(&folder);
        let output = capture(&mut qemu)?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let (mut next, mut ended, mut last) = (0, false, "no word");
        for line in text.lines() {
            last = line;
            match Record::parse(line) {
                Some(Record::Case { index, wrong, .. }) if index == next => {
                    next += 1;
                    match (wrong, cases.get(index)) {
                        (0, _) => outcome.right += 1,
                        (wrong, case) => {
                            let name = case.map_or("?", |c| &c.name);
                            outcome
                                .findings
                                .push(format!("{name}: {wrong} wrong bytes"));
                        }
                    }
                }
                Some(Record::End { stack, .. }) => {
                    ended = true;
                    outcome.stack = outcome.stack.max(stack);
                }
                _ => {}
            }
        }
        if !ended {
            let code = output.status.code().unwrap_or(-1);
            let Some(case) = cases.get(next) else {
                bail!("{}: the program stops at the end: {last}", board.name);
            };
            let finding = format!("{}: the program stops (code {code}): {last}", case.name);
            outcome.findings.push(finding);
            next += 1;
        }
        cases = cases.get(next..).unwrap_or(&[]);
    }
    for finding in outcome.findings.iter().skip(before) {
        out!("FINDING: {finding}");
    }
    std::fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())
}
