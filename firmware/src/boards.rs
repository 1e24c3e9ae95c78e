//! The table of boards: their memories, their clock, where they run.
//!
//! One place for all: `build.rs` makes the memory map of it, the program its clock, and
//! `cargo xtask` the command line of QEMU. A board's name is the cargo feature that chooses it.

/// A piece of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// First address.
    pub origin: u32,
    /// Bytes.
    pub len: u32,
}

/// One board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Board {
    /// Its name, and the feature that chooses it.
    pub name: &'static str,
    /// What it is, for people.
    pub about: &'static str,
    /// The compiler's target.
    pub target: &'static str,
    /// Where program, model and test images lie.
    pub flash: Region,
    /// Where arena, statics and stack lie.
    pub ram: Region,
    /// Whether the kernels are in its DSP instructions; portable Rust otherwise.
    pub dsp: bool,
    /// Ticks of its clock in a second.
    pub hz: u32,
    /// Machines of QEMU that run the program, the usual one first.
    pub machines: &'static [&'static str],
}

const KB: u32 = 1024;

/// All boards.
pub const BOARDS: [Board; 4] = [
    Board {
        name: "mps2-an386",
        about: "ARM MPS2, Cortex-M4F",
        target: "thumbv7em-none-eabihf",
        flash: Region {
            origin: 0,
            len: 4096 * KB,
        },
        ram: Region {
            origin: 0x2000_0000,
            len: 4096 * KB,
        },
        dsp: true,
        hz: 25_000_000,
        machines: &["mps2-an386", "mps2-an500"],
    },
    Board {
        name: "mps3-an547",
        about: "ARM MPS3, Cortex-M55",
        target: "thumbv8m.main-none-eabihf",
        flash: Region {
            origin: 0,
            len: 512 * KB,
        },
        ram: Region {
            origin: 0x2000_0000,
            len: 512 * KB,
        },
        dsp: true,
        hz: 32_000_000,
        machines: &["mps3-an547"],
    },
    Board {
        name: "microbit",
        about: "BBC micro:bit (nRF51), Cortex-M0",
        target: "thumbv6m-none-eabi",
        flash: Region {
            origin: 0,
            len: 256 * KB,
        },
        ram: Region {
            origin: 0x2000_0000,
            len: 16 * KB,
        },
        dsp: false,
        hz: 16_000_000,
        machines: &["microbit"],
    },
    Board {
        name: "virt",
        about: "QEMU's RISC-V machine, rv32imc",
        target: "riscv32imc-unknown-none-elf",
        // One memory of 128 MB; its beginning plays the flash.
        flash: Region {
            origin: 0x8000_0000,
            len: 4096 * KB,
        },
        ram: Region {
            origin: 0x8040_0000,
            len: 4096 * KB,
        },
        dsp: false,
        hz: 1_000_000_000,
        machines: &["virt"],
    },
];

/// The board of a name or of one of its machines.
///
/// ```
/// assert_eq!(pupil_firmware::boards::find("mps2-an500").map(|b| b.name), Some("mps2-an386"));
/// ```
pub fn find(name: &str) -> Option<&'static Board> {
    const TABLE: &[Board] = &BOARDS;
    TABLE
        .iter()
        .find(|b| b.name == name || b.machines.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_board_is_found_by_name_and_machine() {
        for board in &BOARDS {
            assert_eq!(find(board.name), Some(board));
            assert!(
                board
                    .machines
                    .iter()
                    .all(|machine| find(machine) == Some(board))
            );
        }
        assert_eq!(find("arduino"), None);
    }

    #[test]
    fn every_board_is_a_feature() {
        let manifest = include_str!("../Cargo.toml");
        assert!(
            BOARDS
                .iter()
                .all(|b| manifest.contains(&format!("\n{} = [", b.name)))
        );
    }
}
