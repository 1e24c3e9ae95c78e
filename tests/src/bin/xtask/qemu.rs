//! `cargo qemu`: builds the firmware, runs it, compares with the host.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use pupil_core::model::Model;
use pupil_tests::device::{self, Log};
use serde_json::json;

use super::boards::{BOARDS, Board, find};
use super::command::{capture, command, root, target_dir};
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
    /// Bytes of code, constants and initial values; RAM of statics.
    sizes: (u64, u64),
}

/// Parses the arguments of `cargo qemu` and runs.
pub fn command_line(words: &[&str]) -> anyhow::Result<(Vec<Board>, Option<PathBuf>, bool)> {
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
            "all" => boards.extend(BOARDS),
            option if option.starts_with('-') => {
                bail!("unknown option `{option}`\n  do:    cargo xtask help")
            }
            name => boards.push(find(name)?),
        }
    }
    if boards.is_empty() {
        boards.push(BOARDS[0]);
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
            println!("{}", as_json(board, &outcome));
        } else {
            print(board, &outcome);
        }
    }
    Ok(all)
}

/// Builds the firmware for a board, runs it and compares.
pub fn run_board(
    toolchain: &Toolchain,
    board: Board,
    run: Option<&Path>,
) -> anyhow::Result<Outcome> {
    let elf = build(toolchain, board, run)?;
    let output = capture(&mut command_for(board.qemu, &elf))?;
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
    // The build script has chosen the model; its size tells which one.
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
        .find(|m| m.len() == log.model_bytes)
        .ok_or_else(|| {
            anyhow!(
                "{}: no model of {} bytes is here",
                board.name,
                log.model_bytes
            )
        })?;
    let host = device::host_scores(&model, &read(&images)?).map_err(anyhow::Error::msg)?;
    let parsed = Model::parse(&model)?;
    Ok(Outcome {
        agree: device::compare(&log, &host),
        labels: parsed.labels().map(str::to_owned).collect(),
        sizes: sizes(&elf)?,
        log,
    })
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("{}: can't be read", path.display()))
}

/// The firmware's ELF file.
pub fn build(toolchain: &Toolchain, board: Board, run: Option<&Path>) -> anyhow::Result<PathBuf> {
    // Another compiler than the host's has a folder of its own.
    let folder = target_dir().join("firmware");
    let words = format!(
        "cargo build --quiet --locked --profile firmware -p pupil-firmware --features {} --target {}",
        board.name, board.target
    );
    let mut cargo = command(&words);
    cargo.env("CARGO_TARGET_DIR", &folder);
    if let Some(rustc) = &toolchain.rustc {
        cargo.env("RUSTC", rustc);
    }
    if let Some(run) = run {
        let pack = std::path::absolute(run)?.join("6-pack");
        cargo.env("PUPIL_MODEL", pack.join("student.pupil"));
        cargo.env("PUPIL_IMAGES", pack.join("images.bin"));
    }
    let output = capture(&mut cargo)?;
    let text = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!(
            "the firmware for {} does not build\n{}",
            board.name,
            text.trim()
        );
    }
    if !text.trim().is_empty() {
        eprintln!("{}", text.trim());
    }
    Ok(folder.join(board.target).join("firmware/pupil-firmware"))
}

fn command_for(qemu: &str, elf: &Path) -> std::process::Command {
    let words = format!(
        "timeout {LIMIT} {qemu} -nographic -monitor none -serial null -icount shift=6 \
         -semihosting-config enable=on,target=native -kernel"
    );
    let mut command = command(&words);
    command.arg(elf);
    command
}

/// Cargo's runner for bare-metal programs: the machine is told by the target in the path.
pub fn runner(elf: &str) -> anyhow::Result<bool> {
    let board = BOARDS
        .into_iter()
        .rev()
        .find(|b| elf.contains(b.target))
        .ok_or_else(|| anyhow!("{elf}: built for none of the boards' targets"))?;
    Ok(command_for(board.qemu, Path::new(elf)).status()?.success())
}

/// Flash and RAM of an ELF file for 32-bit machines: its loadable segments.
fn sizes(elf: &Path) -> anyhow::Result<(u64, u64)> {
    let bytes = read(elf)?;
    let number = |at: usize, len: usize| -> u64 {
        let part = bytes.get(at..at + len).unwrap_or(&[]);
        part.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b))
    };
    if !bytes.starts_with(b"\x7fELF\x01\x01") {
        bail!("{}: not a 32-bit little-endian ELF file", elf.display());
    }
    let (sections, size, count) = (
        number(32, 4) as usize,
        number(46, 2) as usize,
        number(48, 2),
    );
    let (mut flash, mut ram) = (0, 0);
    for i in 0..count as usize {
        let at = sections + i * size;
        let (kind, flags, len) = (number(at + 4, 4), number(at + 8, 4), number(at + 20, 4));
        let (allocated, writable) = (flags & 2 != 0, flags & 1 != 0);
        const NO_BITS: u64 = 8;
        if allocated && kind != NO_BITS {
            flash += len;
        }
        if allocated && writable {
            ram += len;
        }
    }
    // riscv-rt reserves the rest of RAM as a section for the stack.
    Ok((flash, ram))
}

fn print(board: Board, outcome: &Outcome) {
    let log = &outcome.log;
    println!("{} ({})", board.name, board.chip);
    println!("image  label       predicted    score");
    let name = |i: usize| outcome.labels.get(i).map_or("?", String::as_str);
    for (i, a) in log.answers.iter().enumerate() {
        let label = usize::try_from(a.label).map_or("?", name);
        let mark = if label == name(a.class) {
            ""
        } else {
            "   wrong"
        };
        println!(
            "{i:>5}  {label:<11} {:<11} {:>6}{mark}",
            name(a.class),
            a.score
        );
    }
    let right = log
        .answers
        .iter()
        .filter(|a| a.label == a.class as i64)
        .count();
    let mut counts: Vec<u64> = log.answers.iter().map(|a| a.instructions).collect();
    counts.sort_unstable();
    let (least, most) = (counts.first().unwrap_or(&0), counts.last().unwrap_or(&0));
    println!("\n{right} of {} right", log.answers.len());
    println!("arena used              {:>9} bytes", log.arena);
    println!("stack high-water mark   {:>9} bytes", log.stack);
    println!("instructions per image  {least:>9} to {most}");
    println!(
        "flash                   {:>9} bytes, {} of them the model",
        outcome.sizes.0, log.model_bytes
    );
    if board.name != "virt" {
        println!("RAM of statics          {:>9} bytes", outcome.sizes.1);
    }
    let (agree, first) = &outcome.agree;
    println!(
        "scores identical to the host's on {agree} of {} images",
        log.answers.len()
    );
    if let Some(first) = first {
        println!("FIRST DIFFERENCE at {first}");
    }
    println!();
}

fn as_json(board: Board, outcome: &Outcome) -> serde_json::Value {
    let images: Vec<_> = outcome
        .log
        .answers
        .iter()
        .map(|a| {
            json!({
                "label": a.label,
                "class": a.class,
                "score": a.score,
                "instructions": a.instructions,
                "scores": a.scores,
            })
        })
        .collect();
    json!({
        "board": board.name,
        "model_bytes": outcome.log.model_bytes,
        "arena": outcome.log.arena,
        "stack": outcome.log.stack,
        "flash": outcome.sizes.0,
        "identical": outcome.agree.0,
        "images": images,
    })
}
