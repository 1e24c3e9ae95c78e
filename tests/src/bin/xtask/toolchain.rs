//! QEMU, and a compiler for the four bare-metal targets.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use super::boards::targets;
use super::command::{capture, command, has, root, target_dir};

/// How firmware is compiled.
#[derive(Clone, Debug)]
pub struct Toolchain {
    /// `RUSTC` for cargo; none where the default compiler has the targets.
    pub rustc: Option<PathBuf>,
}

impl Toolchain {
    /// A cargo command for chips. Another compiler than the host's has a build folder of its own.
    pub fn cargo(&self, words: &str) -> Command {
        let mut cargo = command(words);
        cargo.env("CARGO_TARGET_DIR", target_dir().join("firmware"));
        if let Some(rustc) = &self.rustc {
            cargo.env("RUSTC", rustc);
        }
        cargo
    }

    /// `cargo clippy` for chips, warnings are errors. The private toolchain has a clippy of its
    /// own version.
    pub fn clippy(&self, words: &str) -> Command {
        let Some(rustc) = &self.rustc else {
            return self.cargo(&format!("cargo clippy {words} -- -D warnings"));
        };
        // What `cargo clippy` does, with another driver.
        let mut check = self.cargo(&format!("cargo check {words}"));
        check.env(
            "RUSTC_WORKSPACE_WRAPPER",
            rustc.with_file_name("clippy-driver"),
        );
        check.env(
            "CLIPPY_ARGS",
            "-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__",
        );
        check
    }
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
    eprintln!("  installing QEMU with apt-get, once");
    let root_user = capture(&mut command("id -u"))?.stdout.starts_with(b"0\n");
    let sudo = if root_user { "" } else { "sudo " };
    let apt = |words: &str| {
        // Another apt may run: wait for it.
        let mut apt = command(&format!(
            "{sudo}apt-get -q -o DPkg::Lock::Timeout=300 {words}"
        ));
        capture(apt.env("DEBIAN_FRONTEND", "noninteractive"))
    };
    // One unreachable source fails the whole update; what is needed may be there all the same.
    apt("update")?;
    let packages = "qemu-system-arm qemu-system-misc";
    let output = apt(&format!("install -y --no-install-recommends {packages}"))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr)
            .trim()
            .replace('\n', "\n         ");
        bail!(
            "QEMU can't be installed\n  why:   {errors}\n  do:    apt-get install {packages}\n         \
             or your system's packages of qemu-system-arm and qemu-system-riscv32"
        );
    }
    Ok(())
}

/// Whether a compiler has `core` for every target.
fn has_targets(rustc: &Path) -> bool {
    targets().iter().all(|target| {
        let mut print = Command::new(rustc);
        print.args(["--print", "target-libdir", "--target", target]);
        let Ok(output) = capture(&mut print) else {
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
    let default = Path::new("rustc");
    if has_targets(default) {
        return Ok(Toolchain { rustc: None });
    }
    let private = cache().join("fw-rust");
    let rustc = private.join("bin/rustc");
    if !has_targets(&rustc) {
        let targets = targets().join(" ");
        let add = format!("rustup target add {targets}");
        if has("rustup") && capture(&mut command(&add))?.status.success() && has_targets(default) {
            return Ok(Toolchain { rustc: None });
        }
        eprintln!("  rustup has no bare-metal targets here: building a private toolchain, once");
        let script = root().join("tests/setup-firmware-toolchain.sh");
        // The folders may have spaces in their names.
        let mut build = command("bash");
        build.arg(&script).arg(&private).args(targets.split(' '));
        if !build.status()?.success() || !has_targets(&rustc) {
            bail!(
                "no compiler for bare-metal targets\n  do:    {add}\n         or bash {} {} {targets}",
                script.display(),
                private.display()
            );
        }
    }
    Ok(Toolchain { rustc: Some(rustc) })
}
