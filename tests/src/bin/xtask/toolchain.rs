//! QEMU, and a compiler for the four bare-metal targets.

use std::fs::File;
use std::path::PathBuf;

use anyhow::{Context as _, bail};

use super::boards::TARGETS;
use super::command::{capture, command, has, root};

/// How firmware is compiled.
#[derive(Clone, Debug)]
pub struct Toolchain {
    /// `RUSTC` for cargo; none where the default compiler has the targets.
    pub rustc: Option<PathBuf>,
}

/// Installs what is missing; quick when nothing is.
///
/// # Errors
/// What could not be installed, with both ways to do it by hand.
pub fn setup() -> anyhow::Result<Toolchain> {
    // One set-up at a time, also across processes.
    let folder = cache();
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let lock = File::create(folder.join("setup.lock"))?;
    if lock.try_lock().is_err() {
        eprintln!("  waiting for another set-up to end");
        lock.lock()?;
    }
    qemu()?;
    compiler()
}

fn cache() -> PathBuf {
    let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or("/tmp".into())).join(".cache");
    base.unwrap_or_else(home).join("pupil")
}

fn qemu() -> anyhow::Result<()> {
    if has("qemu-system-arm") && has("qemu-system-riscv32") {
        return Ok(());
    }
    eprintln!("  installing QEMU (apt-get)");
    let root_user = capture(&mut command("id -u"))?.stdout.starts_with(b"0\n");
    let sudo = if root_user { "" } else { "sudo " };
    for line in [
        "apt-get update -q",
        "apt-get install -y -q --no-install-recommends qemu-system-arm qemu-system-misc",
    ] {
        let mut apt = command(&format!("{sudo}{line}"));
        let output = capture(apt.env("DEBIAN_FRONTEND", "noninteractive"))?;
        if !output.status.success() {
            bail!(
                "QEMU can't be installed: {}\n  do:    install qemu-system-arm and qemu-system-riscv32",
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
    }
    Ok(())
}

/// Whether a compiler has `core` for every target.
fn has_targets(rustc: &str) -> bool {
    TARGETS.iter().all(|target| {
        let print = format!("{rustc} --print target-libdir --target {target}");
        let Ok(output) = capture(&mut command(&print)) else {
            return false;
        };
        let folder = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let Ok(mut files) = std::fs::read_dir(folder) else {
            return false;
        };
        files.any(|f| f.is_ok_and(|f| f.file_name().to_string_lossy().starts_with("libcore-")))
    })
}

fn compiler() -> anyhow::Result<Toolchain> {
    if has_targets("rustc") {
        return Ok(Toolchain { rustc: None });
    }
    let private = cache().join("fw-rust");
    let rustc = private.join("bin/rustc");
    if !has_targets(&rustc.display().to_string()) {
        let add = format!("rustup target add {}", TARGETS.join(" "));
        if has("rustup") && capture(&mut command(&add))?.status.success() && has_targets("rustc") {
            return Ok(Toolchain { rustc: None });
        }
        eprintln!("  rustup has no bare-metal targets here: building a private toolchain");
        let script = root().join("tests/setup-firmware-toolchain.sh");
        let words = format!(
            "bash {} {} {}",
            script.display(),
            private.display(),
            TARGETS.join(" ")
        );
        let status = command(&words).status()?;
        if !status.success() || !has_targets(&rustc.display().to_string()) {
            bail!("no compiler for bare-metal targets\n  do:    {add}\n         or {words}");
        }
    }
    Ok(Toolchain { rustc: Some(rustc) })
}
