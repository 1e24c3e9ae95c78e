//! `cargo qemu`: builds the firmware, runs it, compares with the host.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use pupil_core::classify::probability;
use pupil_core::model::Model;
use pupil_firmware::protocol::hash;
use pupil_tests::device::{self, Answer, Log};
use serde_json::json;

use super::boards::{Machine, all, machine, machine_of};
use super::command::{capture, command, out, root, target_dir};
use super::elf::{self, Sizes};
use super::toolchain::{Toolchain, setup};

/// Seconds after which QEMU is stopped.
const LIMIT: u32 = 300;

/// One board's run.
pub struct Outcome {
    /// What the firmware said.
    pub log: Log,
    /// Images whose output bytes equal the host's, and the first difference.
    pub agree: (usize, Option<String>),
    /// Class names of the model that ran.
    labels: Vec<String>,
    /// Bytes of the program.
    sizes: Sizes,
}

/// Parses the arguments of `cargo qemu` and runs.
pub fn command_line(words: &[&str]) -> anyhow::Result<(Vec<Machine>, Option<PathBuf>, bool)> {
    let (mut boards, mut run, mut json) = (Vec::new(), None, false);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "--json" => json = true,
            "--run" => {
                let folder = words
                    .next()
                    .ok_or_else(|| anyhow!("--run needs a run directory"))?;
                run = Some(PathBuf::from(folder));
            }
            "all" => boards.extend(all()),
            option if option.starts_with('-') => {
                bail!("unknown option `{option}`\n  do:    cargo xtask help")
            }
            name => boards.push(machine(name)?),
        }
    }
    if boards.is_empty() {
        boards.extend(all().first());
    }
    Ok((boards, run, json))
}

/// `cargo qemu`: true if every board agrees with the host.
pub fn main(words: &[&str]) -> anyhow::Result<bool> {
    let (boards, run, json) = command_line(words)?;
    let toolchain = setup()?;
    let mut all = true;
    for board in boards {
        let outcome = run_board(&toolchain, board, run.as_deref())?;
        all &= outcome.agree.1.is_none();
        if json {
            out!("{}", as_json(board, &outcome));
        } else {
            print(board, &outcome);
        }
    }
    Ok(all)
}

/// Builds the firmware for a board, runs it and compares.
pub fn run_board(
    toolchain: &Toolchain,
    board: Machine,
    run: Option<&Path>,
) -> anyhow::Result<Outcome> {
    let program = build(toolchain, board, run)?;
    let output = capture(&mut command_for(board, &program))?;
    let text = String::from_utf8_lossy(&output.stdout);
    if output.status.code() == Some(124) {
        bail!("{}: QEMU was stopped after {LIMIT} s", board.name);
    }
    let log = device::parse_log(&text).map_err(|e| {
        anyhow!(
            "{}: {e}\n{}",
            board.name,
            String::from_utf8_lossy(&output.stderr).trim()
        )
    })?;
    // The build script has chosen the model; its hash tells which one.
    let (folder, images) = match run {
        Some(run) => (run.join("6-pack"), run.join("6-pack/images.bin")),
        None => (
            root().join("firmware/model"),
            root().join("firmware/model/images.bin"),
        ),
    };
    let names: &[&str] = if run.is_some() {
        &["student.pupil"]
    } else {
        &["quickstart.pupil", "tiny.pupil"]
    };
    let models = names
        .iter()
        .map(|n| read(&folder.join(n)))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let model = models
        .into_iter()
        .find(|m| hash(m) == log.model_hash)
        .ok_or_else(|| {
            anyhow!(
                "{}: the firmware runs a model of {} bytes, hash {:08x}, that is not here",
                board.name,
                log.model_bytes,
                log.model_hash
            )
        })?;
    let host = device::host_scores(&model, &read(&images)?).map_err(anyhow::Error::msg)?;
    let parsed = Model::parse(&model)?;
    Ok(Outcome {
        agree: device::compare(&log, &host),
        labels: parsed.labels().map(str::to_owned).collect(),
        sizes: elf::sizes(&read(&program)?)
            .ok_or_else(|| anyhow!("{}: not a 32-bit ELF file", program.display()))?,
        log,
    })
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("{}: can't be read", path.display()))
}

/// The firmware's ELF file.
pub fn build(toolchain: &Toolchain, board: Machine, run: Option<&Path>) -> anyhow::Result<PathBuf> {
    let words = format!(
        "cargo build --locked --profile firmware -p pupil-firmware --bin classify --features {} --target {}",
        board.board.name, board.board.target
    );
    let mut cargo = toolchain.cargo(&words);
    if !board.board.dsp {
        cargo.args(["--config", "profile.firmware.opt-level=3"]);
    }
    if let Some(run) = run {
        let pack = std::path::absolute(run)?.join("6-pack");
        cargo.env("PUPIL_MODEL", pack.join("student.pupil"));
        cargo.env("PUPIL_IMAGES", pack.join("images.bin"));
    }
    let output = capture(&mut cargo)?;
    let text = String::from_utf8_lossy(&output.stderr);
    // The build script's own words: a model that does not fit, and which one is used.
    let said = |prefix: &'static str| {
        text.lines()
            .filter_map(move |line| line.strip_prefix(prefix)?.split_once(": "))
            .map(|l| l.1)
    };
    if !output.status.success() {
        let reasons: Vec<&str> = said("error: pupil-firmware@").collect();
        let reasons = if reasons.is_empty() {
            text.trim().into()
        } else {
            reasons.join("\n")
        };
        bail!("the firmware for {} can't be built: {reasons}", board.name);
    }
    for warning in said("warning: pupil-firmware@") {
        eprintln!("warning: {warning}");
    }
    let folder = target_dir().join("firmware").join(board.board.target);
    Ok(folder.join("firmware/classify"))
}

fn command_for(board: Machine, elf: &Path) -> std::process::Command {
    let mut command = command(&format!("timeout {LIMIT} {}", board.qemu()));
    command.arg(elf);
    command
}

/// Cargo's runner for bare-metal programs: the board is told by the target in the path.
pub fn runner(elf: &str) -> anyhow::Result<bool> {
    let elf = std::path::absolute(elf)?;
    Ok(command_for(machine_of(&elf)?, &elf).status()?.success())
}

fn print(board: Machine, outcome: &Outcome) {
    let log = &outcome.log;
    out!("{} ({})", board.name, board.board.about);
    out!("image  label       predicted    score  probability  decision");
    let name = |i: usize| outcome.labels.get(i).map_or("?", String::as_str);
    let mut right = 0;
    for (i, a) in log.answers.iter().enumerate() {
        let (label, predicted) = (a.label.map_or("?", name), name(a.class));
        let mark = if a.label == Some(a.class) {
            ""
        } else {
            "   wrong"
        };
        right += usize::from(mark.is_empty());
        out!(
            "{i:>5}  {label:<11} {predicted:<11} {:>6} {:>12.2}  {}{mark}",
            a.score,
            probability(a.score),
            a.decision.word()
        );
    }
    let counts = || log.answers.iter().map(|a| board.instructions(a.ticks));
    let (least, most) = (counts().min().unwrap_or(0), counts().max().unwrap_or(0));
    let Sizes { flash, statics } = outcome.sizes;
    out!("\n{right} of {} right", log.answers.len());
    out!("arena                   {:>9} bytes", log.arena);
    out!(
        "stack high-water mark   {:>9} bytes of {}",
        log.stack,
        log.stack_room
    );
    out!("instructions per image  {least:>9} to {most} (counted by QEMU; not cycles, not time)");
    out!(
        "flash                   {flash:>9} bytes, {} of them the model",
        log.model_bytes
    );
    out!("RAM of statics          {statics:>9} bytes, the arena among them");
    let (agree, first) = &outcome.agree;
    out!(
        "scores identical to the host's on {agree} of {} images",
        log.answers.len()
    );
    if let Some(first) = first {
        out!("FIRST DIFFERENCE at {first}");
    }
    out!("");
}

fn as_json(board: Machine, outcome: &Outcome) -> serde_json::Value {
    let log = &outcome.log;
    let image = |a: &Answer| {
        json!({
            "label": a.label,
            "class": a.class,
            "score": a.score,
            "decision": a.decision.word(),
            "instructions": board.instructions(a.ticks),
            "scores": a.scores,
        })
    };
    json!({
        "board": board.name,
        "model_bytes": log.model_bytes,
        "arena": log.arena,
        "stack": log.stack,
        "stack_room": log.stack_room,
        "flash": outcome.sizes.flash,
        "statics": outcome.sizes.statics,
        "identical": outcome.agree.0,
        "first_difference": outcome.agree.1,
        "images": log.answers.iter().map(image).collect::<Vec<_>>(),
    })
}
