//! The boards that QEMU plays, each with its compiler target and machine.

/// One board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Board {
    /// Cargo feature of the firmware, and QEMU's machine.
    pub name: &'static str,
    /// What it is.
    pub chip: &'static str,
    /// Compiler target.
    pub target: &'static str,
    /// QEMU program and its arguments.
    pub qemu: &'static str,
}

/// All boards; the first is the default.
pub const BOARDS: [Board; 4] = [
    Board {
        name: "mps2-an386",
        chip: "Cortex-M4F",
        target: "thumbv7em-none-eabihf",
        qemu: "qemu-system-arm -M mps2-an386",
    },
    Board {
        name: "mps3-an547",
        chip: "Cortex-M55",
        target: "thumbv8m.main-none-eabihf",
        qemu: "qemu-system-arm -M mps3-an547",
    },
    Board {
        name: "microbit",
        chip: "Cortex-M0",
        target: "thumbv6m-none-eabi",
        qemu: "qemu-system-arm -M microbit",
    },
    Board {
        name: "virt",
        chip: "RV32IMC",
        target: "riscv32imc-unknown-none-elf",
        qemu: "qemu-system-riscv32 -M virt -bios none",
    },
];

/// Compiler targets of all boards.
pub const TARGETS: [&str; 4] = [
    BOARDS[0].target,
    BOARDS[1].target,
    BOARDS[2].target,
    BOARDS[3].target,
];

/// The named board.
///
/// # Errors
/// An unknown name, with the known ones.
pub fn find(name: &str) -> anyhow::Result<Board> {
    let names: Vec<&str> = BOARDS.iter().map(|b| b.name).collect();
    BOARDS.into_iter().find(|b| b.name == name).ok_or_else(|| {
        anyhow::anyhow!(
            "unknown board `{name}`\n  do:    one of {}, or all",
            names.join(", ")
        )
    })
}
