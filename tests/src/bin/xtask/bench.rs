//! `cargo xtask bench`: kernels and networks on a Cortex-M4 in QEMU, counted and compared; and the
//! fuzz, which sends random layers there.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use pupil_firmware::protocol::Record;
use pupil_tests::cases::{self, Case, bench, blocks, random};
use pupil_tests::vectors::{self, Vectors};
use serde_json::{Value, json};

use super::boards::{Machine, machine};
use super::command::{capture, command, out, target_dir};
use super::peers::{PEERS, Peer};
use super::plan;
use super::toolchain::{Toolchain, setup};

/// Seconds after which QEMU is stopped.
const LIMIT: u32 = 300;

/// Random layers of one run of QEMU.
const BATCH: u64 = 500;

/// What a chip said of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Instructions.
    pub instructions: u64,
    /// Instructions of the longest step.
    pub longest: u64,
    /// Wrong bytes.
    pub wrong: usize,
}

/// `cargo xtask bench [MACHINE] [--json | --fuzz N]`: true if every byte is right and no must is
/// missed.
///
/// # Errors
/// Unknown arguments, or a set-up that fails.
pub fn main(words: &[&str]) -> anyhow::Result<bool> {
    let (mut board, mut json, mut fuzz) = (machine("mps2-an386")?, false, None);
    let mut plan_only = false;
    let mut folders = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "--json" => json = true,
            "--plan" => plan_only = true,
            "--fuzz" => {
                let count = words.next().and_then(|n| n.parse::<u64>().ok());
                fuzz = Some(count.ok_or_else(|| anyhow!("--fuzz needs a number of layers"))?);
            }
            "--vectors" => {
                let folder = words
                    .next()
                    .ok_or_else(|| anyhow!("--vectors needs a folder"))?;
                folders.push(*folder);
            }
            option if option.starts_with('-') => {
                bail!("unknown option `{option}`\n  do:    cargo xtask help")
            }
            name => board = machine(name)?,
        }
    }
    if board.board.name != "mps2-an386" {
        bail!(
            "{}: the cases need the memory of mps2-an386 or mps2-an500",
            board.name
        );
    }
    let toolchain = setup()?;
    let program = build(&toolchain, board, "bench")?;
    if !folders.is_empty() {
        return vectors(&program, board, &folders);
    }
    if let Some(count) = fuzz {
        let mut same = true;
        for (what, series, count) in [
            ("layers", random::case as Series, count),
            (
                "networks in random schedules",
                blocks::case,
                count.div_ceil(10),
            ),
        ] {
            let (right, first) = self::fuzz(&program, board, series, count)?;
            out!(
                "{right} of {count} random {what} identical to the reference on {}",
                board.name
            );
            if let Some(first) = first {
                out!("FIRST DIFFERENCE: {first}");
                same = false;
            }
        }
        return Ok(same);
    }
    let cases = if plan_only { vec![] } else { bench::all()? };
    let rows = plan::rows()?;
    let mut all = cases.clone();
    all.extend(rows.iter().map(|r| r.case.clone()));
    let all = run(&program, board, &all)?;
    let (answers, planned) = all.split_at(cases.len());
    if json {
        let kernels = cases.iter().zip(answers).map(|(c, a)| as_json(c, *a));
        let plans = rows.iter().enumerate().map(|(i, r)| r.as_json(planned, i));
        let list: Vec<Value> = kernels.chain(plans).collect();
        out!("{}", serde_json::to_string_pretty(&list)?);
    } else {
        if !plan_only {
            print(board, &cases, answers);
        }
        plan::print(&rows, planned);
    }
    let missed = |(c, a): (&Case, &Answer)| verdict(c, *a) == "missed" || a.wrong > 0;
    let mut plans = rows.iter().enumerate();
    let too_much = plans.any(|(i, r)| r.verdict(planned, i) == "missed" || planned[i].wrong > 0);
    Ok(!cases.iter().zip(answers).any(missed) && !too_much)
}

/// A program that runs cases.
///
/// # Errors
/// What the compiler says.
pub fn build(toolchain: &Toolchain, board: Machine, name: &str) -> anyhow::Result<PathBuf> {
    let words = format!(
        "cargo build --locked --profile firmware -p pupil-firmware --bin {name} --features {},bench \
         --target {}",
        board.board.name, board.board.target
    );
    let output = capture(&mut toolchain.cargo(&words))?;
    if !output.status.success() {
        bail!(
            "the program for {} can't be built: {}",
            board.name,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    let folder = target_dir().join("firmware").join(board.board.target);
    Ok(folder.join("firmware").join(name))
}

/// Runs cases on a machine.
///
/// # Errors
/// A program that ends before the last case.
pub fn run(program: &Path, board: Machine, cases: &[Case]) -> anyhow::Result<Vec<Answer>> {
    // Each run has a folder of its own: two may go on at a time.
    let folder = target_dir().join(format!("bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let mut bytes = Vec::new();
    cases.iter().for_each(|case| case.write(&mut bytes));
    std::fs::write(folder.join("cases.bin"), bytes)?;
    let mut qemu = command(&format!("timeout {LIMIT} {}", board.qemu()));
    qemu.arg(program).current_dir(&folder);
    let output = capture(&mut qemu);
    std::fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let output = output?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut answers = Vec::new();
    let mut ended = false;
    for line in text.lines() {
        match Record::parse(line) {
            Some(Record::Case {
                index,
                ticks,
                longest,
                wrong,
            }) if index == answers.len() => answers.push(Answer {
                instructions: board.instructions(ticks),
                longest: board.instructions(longest),
                wrong,
            }),
            Some(Record::End { .. }) => ended = true,
            Some(Record::Error { .. }) => bail!("{}: the program says: {line}", board.name),
            _ => {}
        }
    }
    if !ended || answers.len() != cases.len() {
        let next = cases.get(answers.len()).map_or("the end", |c| &c.name);
        bail!("{}: the program stops at {next}", board.name);
    }
    Ok(answers)
}

/// A series of random cases.
pub type Series = fn(u64) -> Result<Case, pupil_packer::BuildError>;

/// Random cases on a machine: how many have no wrong byte, and the first that has one.
///
/// # Errors
/// As [`run`].
pub fn fuzz(
    program: &Path,
    board: Machine,
    series: Series,
    count: u64,
) -> anyhow::Result<(usize, Option<String>)> {
    let (mut right, mut first) = (0, None);
    for start in (0..count).step_by(BATCH as usize) {
        let cases = (start..(start + BATCH).min(count))
            .map(series)
            .collect::<Result<Vec<_>, _>>()?;
        let answers = run(program, board, &cases)?;
        for (case, answer) in cases.iter().zip(answers) {
            if answer.wrong == 0 {
                right += 1;
            } else if first.is_none() {
                let (wrong, all) = (answer.wrong, case.expected.len());
                first = Some(format!("{}: {wrong} of {all} bytes", case.name));
            }
        }
    }
    Ok((right, first))
}

/// Layer vectors on a machine, as `conformance` runs them here; sequences apart.
fn vectors(program: &Path, board: Machine, folders: &[&str]) -> anyhow::Result<bool> {
    let (mut passed, mut failed) = (0, 0);
    for folder in vectors::find(folders).map_err(anyhow::Error::msg)? {
        let vectors = Vectors::read(&folder).map_err(anyhow::Error::msg)?;
        let layers = vectors.layers.iter().filter(|l| l.op != "seq");
        let cases = layers
            .map(|l| cases::vectors::case(&vectors, l).map_err(|e| anyhow!("{}: {e}", l.name)))
            .collect::<Result<Vec<_>, _>>()?;
        for (case, answer) in cases.iter().zip(run(program, board, &cases)?) {
            let (n, all) = (answer.instructions, case.expected.len());
            out!(
                "{:<40} {n:>9} instructions, {} of {all} bytes wrong",
                case.name,
                answer.wrong
            );
            if answer.wrong == 0 {
                passed += 1;
            } else {
                failed += 1;
            }
        }
    }
    out!(
        "{passed} passed, {failed} failed, 0 skipped on {}",
        board.name
    );
    Ok(failed == 0)
}

fn verdict(case: &Case, answer: Answer) -> &'static str {
    Peer::of(&case.name).map_or("", |p| p.verdict(answer.instructions, case.macs))
}

fn print(board: Machine, cases: &[Case], answers: &[Answer]) {
    out!(
        "{} ({}): instructions, counted by QEMU; not cycles, not time",
        board.name,
        board.board.about
    );
    out!("peers: CMSIS-NN 99f736a (best of 8 builds), TinyEngine 47bb283, Cortex-M4");
    out!(
        "{:<28} {:>12} {:>8} {:>9} {:>9} {:>6} {:>8} {:>8}",
        "case",
        "instructions",
        "per MAC",
        "CMSIS-NN",
        "TinyEng.",
        "ratio",
        "must",
        "aim"
    );
    for (case, answer) in cases.iter().zip(answers) {
        let per = |n: u64| n as f64 / case.macs.max(1) as f64;
        let peer = Peer::of(&case.name).unwrap_or(&PEERS[0]);
        let ratio = peer
            .best()
            .map_or(0.0, |n| n as f64 / answer.instructions.max(1) as f64);
        let [cmsis, tiny] = peer.instructions.map(|n| match n {
            0 => String::from("-"),
            n => format!("{:.2}", per(n)),
        });
        let goal = |n: f64| match n {
            0.0 => String::from("-"),
            n if n > 1000.0 => format!("{:.1} M", n / 1e6),
            n => format!("{n:.2}"),
        };
        let wrong = match answer.wrong {
            0 => String::new(),
            n => format!("  {n} BYTES WRONG"),
        };
        out!(
            "{:<28} {:>12} {:>8.3} {cmsis:>9} {tiny:>9} {ratio:>6.2} {:>8} {:>8} {}{wrong}",
            case.name,
            answer.instructions,
            per(answer.instructions),
            goal(peer.must),
            goal(peer.aim),
            verdict(case, *answer)
        );
    }
}

fn as_json(case: &Case, answer: Answer) -> Value {
    let peer = Peer::of(&case.name);
    let goal = |n: Option<f64>| n.filter(|n| *n > 0.0);
    json!({
        "case": case.name,
        "isa": "arm-dsp",
        "instructions": answer.instructions,
        "per_mac": answer.instructions as f64 / case.macs.max(1) as f64,
        "peer": peer.and_then(Peer::best),
        "cmsis_nn": peer.map(|p| p.instructions[0]),
        "tinyengine": peer.map(|p| p.instructions[1]).filter(|n| *n > 0),
        "ratio": peer.and_then(Peer::best).map(|n| n as f64 / answer.instructions.max(1) as f64),
        "must": goal(peer.map(|p| p.must)),
        "aim": goal(peer.map(|p| p.aim)),
        "verdict": verdict(case, answer),
        "wrong": answer.wrong,
    })
}
