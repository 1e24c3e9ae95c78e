//! How QEMU plays the firmware's boards.

use std::path::Path;

use pupil_firmware::boards::{BOARDS, Board, find};

/// A board, and which of its machines runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// The board that the firmware is built for.
    pub board: &'static Board,
    /// QEMU's name of the machine.
    pub name: &'static str,
}

const ALL: &[Board] = &BOARDS;

/// Every board on its usual machine; the first is the default.
pub fn all() -> Vec<Machine> {
    let usual = |board: &'static Board| Machine {
        board,
        name: board.machines[0],
    };
    ALL.iter().map(usual).collect()
}

/// Compiler targets of all boards.
pub fn targets() -> Vec<&'static str> {
    ALL.iter().map(|b| b.target).collect()
}

/// The machine of a name.
///
/// # Errors
/// An unknown name, with the known ones.
pub fn machine(name: &str) -> anyhow::Result<Machine> {
    let machines = ALL.iter().flat_map(|b| b.machines);
    if let (Some(board), Some(name)) = (find(name), machines.clone().find(|m| **m == name)) {
        return Ok(Machine { board, name });
    }
    let names: Vec<&str> = machines.copied().collect();
    anyhow::bail!(
        "unknown board `{name}`\n  do:    one of {}, or all",
        names.join(", ")
    )
}

/// The machine of a program, by the target in its path.
///
/// # Errors
/// A path without any board's target.
pub fn machine_of(elf: &Path) -> anyhow::Result<Machine> {
    let in_path = |m: &Machine| elf.components().any(|c| c.as_os_str() == m.board.target);
    all().into_iter().find(in_path).ok_or_else(|| {
        anyhow::anyhow!(
            "{}: built for none of the boards' targets\n  do:    cargo qemu",
            elf.display()
        )
    })
}

impl Machine {
    /// The command that runs a program, without the program.
    pub fn qemu(&self) -> String {
        self.command(&format!(" -icount shift={SHIFT}"))
    }

    /// The same where instructions are not counted, which is quicker.
    pub fn uncounted(&self) -> String {
        self.command("")
    }

    fn command(&self, count: &str) -> String {
        let riscv = self.board.target.starts_with("riscv");
        let (program, more) = if riscv {
            ("qemu-system-riscv32", " -bios none")
        } else {
            ("qemu-system-arm", "")
        };
        format!(
            "{program} -M {}{more} -nographic -monitor none -serial null{count} \
             -semihosting-config enable=on,target=native -kernel",
            self.name
        )
    }

    /// Instructions in a number of ticks. An instruction takes 2^[`SHIFT`] nanoseconds of QEMU's
    /// time, so this is a count and says nothing about real time.
    pub fn instructions(&self, ticks: u64) -> u64 {
        let per_second = u128::from(self.board.hz) << SHIFT;
        let count = (u128::from(ticks) * 1_000_000_000 + per_second / 2) / per_second;
        u64::try_from(count).unwrap_or(u64::MAX)
    }
}

/// QEMU's `-icount shift`.
const SHIFT: u32 = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_are_found_by_name_and_by_path() {
        assert_eq!(machine("mps2-an500").unwrap().board.name, "mps2-an386");
        assert_eq!(machine("virt").unwrap().name, "virt");
        assert!(
            machine("arduino")
                .unwrap_err()
                .to_string()
                .contains("mps3-an547, microbit")
        );
        let elf = Path::new("/t/riscv32imc-unknown-none-elf/firmware/classify");
        assert_eq!(machine_of(elf).unwrap().name, "virt");
        assert!(machine_of(Path::new("/t/debug/classify")).is_err());
    }

    #[test]
    fn ticks_become_instructions() {
        // 25 MHz: 1.6 ticks an instruction; 16 MHz: 1.024; 1 GHz: 64.
        let instructions = |name: &str, ticks| machine(name).unwrap().instructions(ticks);
        assert_eq!(instructions("mps2-an386", 16), 10);
        assert_eq!(instructions("microbit", 1024), 1000);
        assert_eq!(instructions("virt", 64 * 18_000_000), 18_000_000);
        assert!(instructions("microbit", u64::MAX) < u64::MAX);
    }
}
