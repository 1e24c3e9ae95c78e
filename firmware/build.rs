//! Chooses the model, checks that it fits the board, and writes the linker's memory map.
//!
//! `PUPIL_MODEL` and `PUPIL_IMAGES` (paths) replace the committed quickstart student and its test
//! images. Without a board feature (on the host) nothing is done.

use std::path::{Path, PathBuf};
use std::{env, fs};

use pupil_core::model::Model;

/// A board's memories, in bytes.
struct Board {
    feature: &'static str,
    flash: (u32, u32),
    ram: (u32, u32),
}

const BOARDS: [Board; 4] = [
    Board {
        feature: "mps2-an386",
        flash: (0, 512 << 10),
        ram: (0x2000_0000, 512 << 10),
    },
    Board {
        feature: "mps3-an547",
        flash: (0, 512 << 10),
        ram: (0x2000_0000, 512 << 10),
    },
    Board {
        feature: "microbit",
        flash: (0, 256 << 10),
        ram: (0x2000_0000, 16 << 10),
    },
    // One memory; its first half plays the flash.
    Board {
        feature: "virt",
        flash: (0x8000_0000, 4 << 20),
        ram: (0x8040_0000, 4 << 20),
    },
];

/// Flash that code and tables of the firmware itself may take.
const CODE: usize = 64 << 10;
/// RAM that statics beside the arena take.
const STATICS: usize = 256;
/// RAM that is left to the stack at least.
const STACK: usize = 3 << 10;

fn main() {
    for name in ["PUPIL_MODEL", "PUPIL_IMAGES"] {
        println!("cargo:rerun-if-env-changed={name}");
    }
    println!("cargo:rerun-if-changed=build.rs");
    let wanted = |b: &&Board| {
        let name = b.feature.to_uppercase().replace('-', "_");
        env::var_os(format!("CARGO_FEATURE_{name}")).is_some()
    };
    let chosen: Vec<&Board> = BOARDS.iter().filter(wanted).collect();
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("none") {
        return;
    }
    if let Err(error) = configure(&chosen) {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

fn configure(chosen: &[&Board]) -> Result<(), String> {
    let [board] = chosen else {
        let names: Vec<&str> = BOARDS.iter().map(|b| b.feature).collect();
        return Err(format!(
            "{} boards are chosen, one is needed\n  do:    --features with one of {}",
            chosen.len(),
            names.join(", ")
        ));
    };
    let folder =
        PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or("no manifest folder")?).join("model");
    let images = env::var_os("PUPIL_IMAGES").map_or(folder.join("images.bin"), PathBuf::from);
    let given = env::var_os("PUPIL_MODEL").map(PathBuf::from);
    let model = match &given {
        Some(path) => {
            fits(board, path, &images)?;
            path.clone()
        }
        None => {
            let quickstart = folder.join("quickstart.pupil");
            match fits(board, &quickstart, &images) {
                Ok(()) => quickstart,
                Err(reason) => {
                    let line = reason.lines().next().unwrap_or_default();
                    println!("cargo:warning={line}; the smaller tiny.pupil is used");
                    let tiny = folder.join("tiny.pupil");
                    fits(board, &tiny, &images)?;
                    tiny
                }
            }
        }
    };
    write_outputs(board, &model, &images)
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    println!("cargo:rerun-if-changed={}", path.display());
    fs::read(path).map_err(|e| {
        format!(
            "{}: {e}\n  do:    set PUPIL_MODEL to the path of a student.pupil",
            path.display()
        )
    })
}

/// Whether model, images, code, arena and stack find room.
fn fits(board: &Board, path: &Path, images: &Path) -> Result<(), String> {
    let bytes = read(path)?;
    let images = read(images)?.len();
    let model = Model::parse(&bytes).map_err(|e| format!("{}: {e}", path.display()))?;
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let check = |memory: &str, needs: usize, has: u32, parts: String, advice: &str| {
        let has = has as usize;
        if needs <= has {
            return Ok(());
        }
        let kb = |n: usize| n as f64 / 1024.0;
        Err(format!(
            "{name} does not fit: it needs {:.1} KB of {memory}, {} has {:.1} KB ({:.1} KB over)\n  \
             where: {parts}\n  do:    {advice}",
            kb(needs),
            board.feature,
            kb(has),
            kb(needs - has)
        ))
    };
    check(
        "RAM",
        model.arena_len() + STATICS + STACK,
        board.ram.1,
        format!(
            "arena {} + statics {STATICS} + stack {STACK} bytes",
            model.arena_len()
        ),
        "train a narrower net (distill.net.width), or choose a board with more RAM",
    )?;
    check(
        "flash",
        bytes.len() + images + CODE,
        board.flash.1,
        format!(
            "model {} + images {images} + code {CODE} bytes",
            bytes.len()
        ),
        "train a narrower net (distill.net.width), or embed fewer images",
    )
}

/// memory.x for the linker, model.rs for the program.
fn write_outputs(board: &Board, model: &Path, images: &Path) -> Result<(), String> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("no output folder")?);
    let absolute = |p: &Path| fs::canonicalize(p).map_err(|e| format!("{}: {e}", p.display()));
    let bytes = read(model)?;
    let parsed = Model::parse(&bytes).map_err(|e| e.to_string())?;
    let code = format!(
        "/// The packed student.\npub static MODEL: &Aligned<[u8]> = &Aligned(*include_bytes!({:?}));\n\
         /// Test images with labels.\npub static IMAGES: &[u8] = include_bytes!({:?});\n\
         /// Bytes of the arena.\npub const ARENA_LEN: usize = {};\n",
        absolute(model)?,
        absolute(images)?,
        parsed.arena_len()
    );
    let memory = format!(
        "MEMORY {{\n  FLASH : ORIGIN = {:#x}, LENGTH = {:#x}\n  RAM : ORIGIN = {:#x}, LENGTH = {:#x}\n}}\n",
        board.flash.0, board.flash.1, board.ram.0, board.ram.1
    );
    let regions = "REGION_ALIAS(\"REGION_TEXT\", FLASH);\nREGION_ALIAS(\"REGION_RODATA\", FLASH);\n\
        REGION_ALIAS(\"REGION_DATA\", RAM);\nREGION_ALIAS(\"REGION_BSS\", RAM);\n\
        REGION_ALIAS(\"REGION_HEAP\", RAM);\nREGION_ALIAS(\"REGION_STACK\", RAM);\n";
    let riscv = board.feature == "virt";
    let memory = if riscv { memory + regions } else { memory };
    let write = |name: &str, text: &str| {
        fs::write(out.join(name), text).map_err(|e| format!("{}: {e}", out.join(name).display()))
    };
    write("model.rs", &code)?;
    write("memory.x", &memory)?;
    println!("cargo:rustc-link-search={}", out.display());
    if riscv {
        println!("cargo:rustc-link-arg-bins=-Tmemory.x");
    }
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
    println!("cargo:rustc-link-arg-bins=--nmagic");
    Ok(())
}
