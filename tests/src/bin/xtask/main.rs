//! `cargo xtask`: everything that a developer or CI runs.

/// A line on stderr; one that is closed or full must not end a check.
macro_rules! eprintln {
    ($($part:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($part)*);
    }};
}

mod bench;
mod boards;
mod command;
mod elf;
mod gpu;
mod mutants;
mod peers;
mod plan;
mod qemu;
mod rooms;
mod size;
mod steps;
mod toolchain;
mod train_bench;

use std::process::ExitCode;

use command::out;

const HELP: &str = "\
cargo xtask test [STEP…]   all checks, or the named ones; installs what is missing
cargo xtask test --list    the steps
cargo xtask check-gpu [cuda|wgpu] the trainer's GPU backends compile; needs no GPU
    --parity               compares every module with the CPU's on the GPU that is there
cargo xtask setup          QEMU and a compiler for bare-metal targets
cargo qemu [BOARD|all]     builds the firmware and classifies real images in QEMU
    --run DIR              with the student of a run directory instead of the committed one
    --json                 one JSON object a board
cargo xtask bench [MACHINE] kernels and networks in QEMU: instructions, beside the peers'
    --json                 a list of objects
    --fuzz N               N random layers and N/10 random networks in random schedules instead,
                           device against reference
    --mutants N            N mutants of models that the parser accepts, between fences
    --from M               with --mutants: from mutant M on
    --model FILE           packed models between fences
    --vectors DIR          layer vectors instead, as `conformance` reads them
    --plan                 memory and instructions of schedules only
cargo xtask bench train    training speed of three nets, samples a second
    --pytorch              beside PyTorch, from PyPI into a private environment
    --threads N --pairs N --net A|H|G --json
cargo xtask size [--json]  bytes of code of each operator's kernels in a Cortex-M4F firmware
cargo xtask rooms [--write] rooms of each crate, their lines and arrows; writes docs/architecture.md

Exit codes: 0 done, 1 a check failed, device and host differ, or a must is missed, 2 usage or set-up.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        [] | ["help" | "--help" | "-h"] => {
            out!("{HELP}");
            Ok(true)
        }
        ["setup"] => toolchain::setup().map(|_| true),
        ["test", "--list"] => {
            steps::list();
            Ok(true)
        }
        ["test", names @ ..] => steps::test(names),
        ["check-gpu", rest @ ..] => gpu::main(rest),
        ["qemu", rest @ ..] => qemu::main(rest),
        ["bench", "train", rest @ ..] => train_bench::main(rest),
        ["bench", rest @ ..] if mutants::wanted(rest) => mutants::main(rest),
        ["bench", rest @ ..] => bench::main(rest),
        ["size", rest @ ..] => size::main(rest),
        ["rooms", rest @ ..] => rooms::main(rest),
        ["runner", elf, ..] => qemu::runner(elf),
        [other, ..] => Err(anyhow::anyhow!(
            "unknown task `{other}`\n  do:    cargo xtask help"
        )),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}
