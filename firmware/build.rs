//! Chooses the model, checks that it fits the board, writes memory map and statics.
//!
//! `PUPIL_MODEL` and `PUPIL_IMAGES` (paths, relative to the checkout) replace the committed
//! quickstart student and the test images. Without a board (on the host) nothing is done.

// The table of boards and the check are the library's; a build script needs only a part of them.
#[path = "src/boards.rs"]
#[allow(dead_code)]
mod boards;
#[path = "src/fit.rs"]
#[allow(dead_code)]
mod fit;

use std::path::{Path, PathBuf};
use std::{env, fs};

use boards::{BOARDS, Board};
use fit::{Load, Misfit};
use pupil_core::kernels::OperatorSet;
use pupil_core::model::Model;

fn main() {
    for name in ["PUPIL_MODEL", "PUPIL_IMAGES"] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    for file in ["build.rs", "src/boards.rs", "src/fit.rs", "model"] {
        println!("cargo::rerun-if-changed={file}");
    }
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("none") {
        return;
    }
    const TABLE: &[Board] = &BOARDS;
    let chosen: Vec<&Board> = TABLE.iter().filter(|b| has_feature(b.name)).collect();
    let done = match chosen[..] {
        [] => Ok(()), // the library's compile_error says what to do
        [board] => configure(board),
        _ => {
            let names: Vec<&str> = chosen.iter().map(|b| b.name).collect();
            Err(format!(
                "{} boards are chosen: {}\n  do:    --features with one of them",
                names.len(),
                names.join(", ")
            ))
        }
    };
    if let Err(text) = done {
        for line in text.lines() {
            println!("cargo::error={line}");
        }
    }
}

fn has_feature(name: &str) -> bool {
    let name = name.to_uppercase().replace('-', "_");
    env::var_os(format!("CARGO_FEATURE_{name}")).is_some()
}

/// Picks the model and writes what the compiler and the linker read.
fn configure(board: &'static Board) -> Result<(), String> {
    let folder = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let given = |name: &str| env::var_os(name).map(|path| folder.join("..").join(path));
    let images = given("PUPIL_IMAGES").unwrap_or(folder.join("model/images.bin"));
    let (path, load) = match given("PUPIL_MODEL") {
        Some(path) => {
            let load = load(&path, &images)?;
            load.fits(board).map_err(|misfit| explain(&path, misfit))?;
            (path, load)
        }
        None => committed(board, &folder.join("model"), &images)?,
    };
    write_outputs(board, &path, &images, load)
}

/// The quickstart student, or the tiny one where it does not fit.
fn committed(
    board: &'static Board,
    folder: &Path,
    images: &Path,
) -> Result<(PathBuf, Load), String> {
    let quickstart = folder.join("quickstart.pupil");
    let first = load(&quickstart, images)?;
    let Err(misfit) = first.fits(board) else {
        return Ok((quickstart, first));
    };
    println!(
        "cargo::warning=quickstart.pupil does not fit: {}; tiny.pupil is used instead",
        misfit.headline()
    );
    let tiny = folder.join("tiny.pupil");
    let second = load(&tiny, images)?;
    second
        .fits(board)
        .map_err(|misfit| explain(&tiny, misfit))?;
    Ok((tiny, second))
}

fn explain(path: &Path, misfit: Misfit) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    format!("{name} does not fit: {misfit}")
}

/// What a model and its test images take.
fn load(path: &Path, images: &Path) -> Result<Load, String> {
    let bytes = read(path, "set PUPIL_MODEL to a student.pupil, or unset it")?;
    let model = Model::parse(&bytes).map_err(|e| {
        format!(
            "{}: {e}\n  do:    pack the model with this checkout, or check the path in PUPIL_MODEL",
            path.display()
        )
    })?;
    let images = read(images, "set PUPIL_IMAGES to a block of images, or unset it")?.len();
    Ok(Load {
        model: bytes.len(),
        images,
        arena: model.arena_len(),
        work: model.work(),
    })
}

fn read(path: &Path, advice: &str) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|e| format!("{}: {e}\n  do:    {advice}", path.display()))
}

/// The operators of a model: the program links no other's kernels.
fn operators(path: &Path) -> Result<OperatorSet, String> {
    let bytes = read(path, "set PUPIL_MODEL to a student.pupil, or unset it")?;
    let model = Model::parse(&bytes).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(model.operator_set())
}

/// memory.rs for `src/board/memory.rs`, memory.x for the linker, and the link arguments.
fn write_outputs(board: &Board, model: &Path, images: &Path, load: Load) -> Result<(), String> {
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    let put = |name: &str, text: String| {
        fs::write(out.join(name), text).map_err(|e| format!("{name} was not written: {e}"))
    };
    let absolute = |p: &Path| fs::canonicalize(p).map_err(|e| format!("{}: {e}", p.display()));
    println!("cargo::rerun-if-changed={}", model.display());
    println!("cargo::rerun-if-changed={}", images.display());
    put(
        "memory.rs",
        format!(
            "static MODEL: &Aligned<[u8]> = &Aligned(*include_bytes!({:?}));\n\
             static IMAGES: &[u8] = include_bytes!({:?});\n\
             const ARENA_LEN: usize = {};\n\
             const OPERATORS: u64 = {:#x};\n\
             /// The board of this build.\n\
             pub const BOARD: Board = crate::boards::BOARDS[{}];\n",
            absolute(model)?,
            absolute(images)?,
            load.arena,
            operators(model)?.bits(),
            BOARDS
                .iter()
                .position(|b| b.name == board.name)
                .unwrap_or_default(),
        ),
    )?;
    put("memory.x", memory_map(board))?;
    println!("cargo::rustc-link-search={}", out.display());
    if board.target.starts_with("riscv") {
        println!("cargo::rustc-link-arg-bins=-Tmemory.x");
    }
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
    // No page alignment: it would waste flash.
    println!("cargo::rustc-link-arg-bins=--nmagic");
    Ok(())
}

/// Both runtime crates read the regions FLASH and RAM; riscv-rt wants its own names for them.
fn memory_map(board: &Board) -> String {
    let mut text = String::from("MEMORY {\n");
    for (name, region) in [("FLASH", board.flash), ("RAM", board.ram)] {
        let (origin, len) = (region.origin, region.len);
        text += &format!("  {name} : ORIGIN = {origin:#x}, LENGTH = {len:#x}\n");
    }
    text += "}\n";
    if board.target.starts_with("riscv") {
        for (alias, region) in [
            ("TEXT", "FLASH"),
            ("RODATA", "FLASH"),
            ("DATA", "RAM"),
            ("BSS", "RAM"),
            ("HEAP", "RAM"),
            ("STACK", "RAM"),
        ] {
            text += &format!("REGION_ALIAS(\"REGION_{alias}\", {region});\n");
        }
    }
    text
}
