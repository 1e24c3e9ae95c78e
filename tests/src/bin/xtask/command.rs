//! Running programs from the repository's root.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use anyhow::Context as _;

/// The repository's root.
pub fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Cargo's target folder.
pub fn target_dir() -> PathBuf {
    let given = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let folder = given.unwrap_or("target".into());
    if folder.is_absolute() {
        folder
    } else {
        root().join(folder)
    }
}

/// A command in the root, without input. `words` are split at spaces.
pub fn command(words: &str) -> Command {
    let mut parts = words.split_whitespace();
    let program = parts.next().unwrap_or_default();
    let mut command = Command::new(if program == "cargo" {
        env!("CARGO")
    } else {
        program
    });
    command.args(parts).current_dir(root()).stdin(Stdio::null());
    command.env("CARGO_TERM_COLOR", "never");
    // The compiler that runs xtask is not the one that a step may want.
    for name in ["CARGO", "RUSTC", "CARGO_MANIFEST_DIR", "CARGO_PKG_NAME"] {
        command.env_remove(name);
    }
    command
}

/// Output of a command, whatever its exit code.
pub fn capture(command: &mut Command) -> anyhow::Result<Output> {
    let name = command.get_program().to_string_lossy().into_owned();
    command
        .output()
        .with_context(|| format!("{name} can't be started"))
}

/// Whether a program is on PATH.
pub fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// `println!` that lets a reader go away early, as `head` does: that is no error.
macro_rules! out {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($text)*);
    }};
}
pub(crate) use out;
