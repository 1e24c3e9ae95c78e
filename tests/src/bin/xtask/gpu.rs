//! `cargo xtask check-gpu`: the GPU backends compile without warnings, a line each with its time.
//!
//! Not a step of `cargo xtask test`, whose time it would double: each backend is some hundred
//! crates. No GPU is needed; with `--parity` every module is compared with the CPU's on the GPU
//! that is there.
//!
//! `cuda` compiles its kernels with LLVM, which a build script of burn's fetches as a prebuilt archive
//! outside the package registry. Lints link nothing, so here the script is told to leave it out.

use std::io::{IsTerminal as _, stderr};
use std::time::Instant;

use super::command::{capture, command, out};
use super::steps::read_counts;

const BACKENDS: [&str; 2] = ["cuda", "wgpu"];

/// Checks both backends, or those named; true if all is well.
///
/// # Errors
/// An unknown option.
pub fn main(options: &[&str]) -> anyhow::Result<bool> {
    let parity = options.contains(&"--parity");
    let names: Vec<&str> = options
        .iter()
        .copied()
        .filter(|o| *o != "--parity")
        .collect();
    if let Some(unknown) = names.iter().find(|n| !BACKENDS.contains(n)) {
        anyhow::bail!(
            "unknown backend or option `{unknown}`\n  do:    cargo xtask check-gpu [cuda] [wgpu] [--parity]"
        );
    }
    let mut good = true;
    for backend in BACKENDS {
        if !names.is_empty() && !names.contains(&backend) {
            continue;
        }
        let lint = format!(
            "cargo clippy --quiet --release -p pupil --all-targets --features {backend} -- -D warnings"
        );
        good &= step(backend, "compiles, lints", &[("DOCS_RS", "1")], &lint)?;
        if parity {
            let test = format!(
                "cargo test --quiet --release -p pupil --lib --features {backend} -- on_{backend}"
            );
            good &= step(backend, "every module beside the CPU's", &[], &test)?;
        }
    }
    Ok(good)
}

/// Runs one command and prints its line.
fn step(
    backend: &str,
    what: &str,
    variables: &[(&str, &str)],
    words: &str,
) -> anyhow::Result<bool> {
    let start = Instant::now();
    let live = stderr().is_terminal();
    if live {
        eprint!("  ...  {backend:<12}             {what}\r");
    }
    let output = capture(command(words).envs(variables.iter().copied()))?;
    if live {
        eprint!("\x1b[2K");
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    let good = output.status.success();
    let mark = match (good, read_counts(&text).skipped) {
        (false, _) => "FAIL",
        (true, 0) => "ok",
        // No device: nothing was compared.
        (true, _) => "skip",
    };
    let seconds = start.elapsed().as_secs_f64();
    out!("  {mark:<4} {backend:<12} {seconds:>7.1} s   {what}");
    if mark != "ok" {
        let lines: Vec<&str> = text.lines().collect();
        for line in &lines[lines.len().saturating_sub(40)..] {
            out!("       {line}");
        }
        let variables: String = variables.iter().map(|(k, v)| format!("{k}={v} ")).collect();
        out!("       repeat it alone: {variables}{words}");
    }
    Ok(good)
}
