//! `cargo xtask bench train`: training speed, and beside it PyTorch's on the same nets.
//!
//! Programs take turns, so that what else the machine does falls on all of them; the ratio is
//! taken pair by pair. PyTorch runs as installed and with glibc's malloc thresholds raised
//! (memory is kept between steps), and the faster of the two counts.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::command::{capture, command, out, root, target_dir};

/// Name and steps of a run: a few seconds each.
const NETS: [(&str, u32); 3] = [("A", 150), ("H", 40), ("G", 20)];
/// Turns of every program.
const PAIRS: usize = 5;
/// What keeps PyTorch's memory between steps.
const MALLOC: [(&str, &str); 3] = [
    ("MALLOC_MMAP_THRESHOLD_", "4294967296"),
    ("MALLOC_TRIM_THRESHOLD_", "17179869184"),
    ("MALLOC_TOP_PAD_", "67108864"),
];

/// One run's figures.
#[derive(Clone, Copy, Debug)]
struct Run {
    samples_per_s: f64,
    peak_kib: f64,
    forward: f64,
    evaluation: f64,
}

/// Runs the benchmark; the flags are `--pytorch`, `--json`, `--threads N`, `--pairs N`, `--net X`.
pub fn main(arguments: &[&str]) -> anyhow::Result<bool> {
    let (mut pytorch, mut as_json, mut threads, mut pairs, mut only) =
        (false, false, 2u32, PAIRS, None);
    let mut rest = arguments.iter();
    while let Some(word) = rest.next() {
        let mut value = || {
            rest.next()
                .copied()
                .with_context(|| format!("{word} needs a value\n  do:    cargo xtask help"))
        };
        match *word {
            "--pytorch" => pytorch = true,
            "--json" => as_json = true,
            "--threads" => threads = value()?.parse().context("--threads takes a number")?,
            "--pairs" => pairs = value()?.parse().context("--pairs takes a number")?,
            "--net" => only = Some(value()?.to_owned()),
            other => anyhow::bail!("unknown flag `{other}`\n  do:    cargo xtask help"),
        }
    }
    let pairs = pairs.max(1);
    let program = build()?;
    let python = pytorch.then(python).transpose()?;
    if !as_json {
        out!("{threads} threads, {pairs} turns, batch 64, 32x32x3; samples/s: median (min-max)");
    }
    let mut rows = Vec::new();
    for (net, steps) in NETS {
        if only.as_deref().is_some_and(|only| only != net) {
            continue;
        }
        rows.push(measure(
            net,
            steps,
            threads,
            pairs,
            &program,
            python.as_deref(),
            as_json,
        )?);
    }
    if as_json {
        out!("{}", json!({ "threads": threads, "nets": rows }));
    }
    Ok(true)
}

fn measure(
    net: &str,
    steps: u32,
    threads: u32,
    pairs: usize,
    program: &Path,
    python: Option<&Path>,
    as_json: bool,
) -> anyhow::Result<Value> {
    let (mut own, mut stock, mut tuned) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..pairs {
        own.push(run(
            Command::new(program).args([net, &steps.to_string()]),
            threads,
        )?);
        let Some(python) = python else { continue };
        let script = root().join("host-trainer/benches/train.py");
        let mut plain = Command::new(python);
        plain.arg(&script).args([net, &steps.to_string()]);
        stock.push(run(&mut plain, threads)?);
        let mut kept = Command::new(python);
        kept.arg(&script)
            .args([net, &steps.to_string()])
            .envs(MALLOC);
        tuned.push(run(&mut kept, threads)?);
    }
    let rate = |runs: &[Run]| spread(runs.iter().map(|r| r.samples_per_s).collect());
    let memory = |runs: &[Run]| spread(runs.iter().map(|r| r.peak_kib).collect()).1 / 1024.0;
    let forward = spread(own.iter().map(|r| r.forward).collect());
    let evaluation = spread(own.iter().map(|r| r.evaluation).collect());
    let (low, median, high) = rate(&own);
    let mut row = json!({
        "net": net, "samples_per_s": median, "forward_samples_per_s": forward.1,
        "evaluation_samples_per_s": evaluation.1,
        "peak_mib": memory(&own),
    });
    if !as_json {
        out!(
            "{net}  pupil                 {median:7.0} ({low:.0}-{high:.0})   peak {:.0} MiB",
            memory(&own)
        );
        out!(
            "{net}  pupil, forward        {:7.0}   in training",
            forward.1
        );
        out!("{net}  pupil, evaluation     {:7.0}", evaluation.1);
    }
    if stock.is_empty() {
        return Ok(row);
    }
    let faster = if rate(&stock).1 > rate(&tuned).1 {
        &stock
    } else {
        &tuned
    };
    let ratios: Vec<f64> = own
        .iter()
        .zip(faster)
        .map(|(a, b)| a.samples_per_s / b.samples_per_s)
        .collect();
    let (least, ratio, most) = spread(ratios);
    let leaner = memory(&stock).min(memory(&tuned));
    row["pytorch_samples_per_s"] = rate(faster).1.into();
    row["pytorch_as_installed_samples_per_s"] = rate(&stock).1.into();
    row["pytorch_peak_mib"] = leaner.into();
    row["ratio"] = ratio.into();
    row["memory_ratio"] = (memory(&own) / leaner).into();
    if !as_json {
        for (name, runs) in [("as installed", &stock), ("malloc tuned", &tuned)] {
            let (low, median, high) = rate(runs);
            out!(
                "{net}  PyTorch, {name} {median:7.0} ({low:.0}-{high:.0})   peak {:.0} MiB",
                memory(runs)
            );
        }
        out!(
            "{net}  ratio to the faster   {ratio:7.2} ({least:.2}-{most:.2})   memory {:.2}",
            memory(&own) / leaner
        );
    }
    Ok(row)
}

/// Least, median and greatest.
fn spread(mut values: Vec<f64>) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    match values.as_slice() {
        [] => (0.0, 0.0, 0.0),
        [first, ..] => (*first, values[values.len() / 2], values[values.len() - 1]),
    }
}

fn run(program: &mut Command, threads: u32) -> anyhow::Result<Run> {
    let threads = threads.to_string();
    program
        .env("RAYON_NUM_THREADS", &threads)
        .env("OMP_NUM_THREADS", &threads)
        .env("MKL_NUM_THREADS", &threads);
    let output = capture(program)?;
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().last().unwrap_or_default();
    let value: Value = serde_json::from_str(last).with_context(|| {
        format!(
            "{} did not print its figures: {}",
            program.get_program().to_string_lossy(),
            String::from_utf8_lossy(&output.stderr)
        )
    })?;
    let number = |key: &str| value[key].as_f64().unwrap_or(0.0);
    Ok(Run {
        samples_per_s: number("samples_per_s"),
        peak_kib: number("peak_kib"),
        forward: number("forward_samples_per_s"),
        evaluation: number("evaluation_samples_per_s"),
    })
}

/// The benchmark program, built like a release.
fn build() -> anyhow::Result<PathBuf> {
    let mut cargo =
        command("cargo bench --quiet -p pupil --bench train --no-run --message-format json");
    let output = capture(&mut cargo)?;
    let found = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|m| m["target"]["name"] == "train")
        .find_map(|m| m["executable"].as_str().map(PathBuf::from));
    found.with_context(|| {
        format!(
            "the benchmark was not built: {}",
            String::from_utf8_lossy(&output.stderr)
        )
    })
}

/// Python with PyTorch in a private environment under the target folder.
fn python() -> anyhow::Result<PathBuf> {
    let folder = target_dir().join("pytorch");
    let python = folder.join("bin/python");
    let ready = |python: &Path| {
        let mut probe = Command::new(python);
        probe.args(["-c", "import torch"]);
        capture(&mut probe).is_ok_and(|o| o.status.success())
    };
    if ready(&python) {
        return Ok(python);
    }
    eprintln!(
        "  installing PyTorch from PyPI into {}: some GB, minutes",
        folder.display()
    );
    let mut make = Command::new("python3");
    make.args(["-m", "venv"]).arg(&folder);
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "install", "--quiet", "torch", "numpy"]);
    for step in [&mut make, &mut install] {
        let output = capture(step)?;
        anyhow::ensure!(
            output.status.success(),
            "PyTorch can't be installed: {}\n  do:    python3 -m venv {1} && {1}/bin/pip install torch",
            String::from_utf8_lossy(&output.stderr),
            folder.display()
        );
    }
    anyhow::ensure!(ready(&python), "PyTorch is installed but can't be imported");
    Ok(python)
}
