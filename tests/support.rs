//! Finding and running the real binary, and the committed files.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A committed model or image block.
pub fn committed(name: &str) -> Vec<u8> {
    std::fs::read(root().join("firmware/model").join(name)).unwrap()
}

/// The `pupil` binary: `PUPIL_BIN`, or the one beside this test.
pub fn binary() -> PathBuf {
    let found = std::env::var_os("PUPIL_BIN")
        .map(PathBuf::from)
        .unwrap_or_else(|| {
            let own = std::env::current_exe().unwrap();
            own.parent().unwrap().parent().unwrap().join("pupil")
        });
    assert!(
        found.is_file(),
        "{} is missing\n  do:    cargo build --release -p pupil, then cargo test --release -p pupil-tests",
        found.display()
    );
    found
}

/// A call of the binary.
pub fn pupil(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command
        .args(arguments)
        .env("NO_COLOR", "1")
        // What cargo sets for a test is not there for a user's call.
        .env_remove("CARGO_MANIFEST_DIR")
        .stdin(std::process::Stdio::null());
    command
}

/// Runs it; returns exit code, stdout, stderr.
pub fn run(arguments: &[&str]) -> (i32, String, String) {
    finish(pupil(arguments).output().unwrap())
}

/// Exit code (−1 for a signal), stdout, stderr.
pub fn finish(output: Output) -> (i32, String, String) {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap_or(-1),
        text(output.stdout),
        text(output.stderr),
    )
}

/// A configuration of a few seconds: small nets, few steps at a rate that suits so few.
pub const SHORT: &str = r#"
data = "bundled"
[teacher.net]
width = 0.5
[teacher.fit]
steps = 200
learning_rate = 4e-3
batch = 32
[pseudo_labels]
threshold = 0.05
[student.net]
width = 0.5
[student.fit]
steps = 200
learning_rate = 4e-3
batch = 48
ema = 0.9
[distill.net]
width = 0.5
[distill.fit]
steps = 200
learning_rate = 4e-3
batch = 32
ema = 0.9
[distill.labels_only]
steps = 200
learning_rate = 4e-3
batch = 32
ema = 0.9
[quantize]
calibration_images = 60
max_drop = 5.0
"#;
