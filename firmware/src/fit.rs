//! Whether a model fits a board: flash and RAM, with the numbers and what to do.
//!
//! `build.rs` asks this before anything is compiled. The linker would find out too, but says only
//! that a region overflowed.

use core::fmt;

use crate::boards::Board;

/// Flash that the program's own code and tables take, rounded up.
pub const CODE: usize = 48 * 1024;
/// RAM that statics beside the arena take, rounded up.
pub const STATICS: usize = 256;
/// RAM that is left for the stack at least; the deepest run so far took 3,056 bytes of it
/// (Cortex-M4F).
pub const STACK: usize = 4096;

/// Seconds that an image may take at most, at one value that an operator reads a tick: more is no
/// classifier but a mistake, or a file that keeps the chip busy on purpose.
pub const SECONDS: u64 = 20;

/// What a model wants of a board: bytes, and values that its operators read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// The packed model.
    pub model: usize,
    /// The test images.
    pub images: usize,
    /// The arena.
    pub arena: usize,
    /// Values that the operators read for an image: `Model::work`.
    pub work: u64,
}

/// What is too small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// Code, model and images exceed the flash.
    Flash(&'static Board, Load),
    /// Arena, statics and stack exceed the RAM.
    Ram(&'static Board, Load),
    /// An image takes longer than [`SECONDS`].
    Work(&'static Board, Load),
}

impl Load {
    /// Bytes of flash.
    pub const fn flash(&self) -> usize {
        self.model.saturating_add(self.images).saturating_add(CODE)
    }

    /// Bytes of RAM.
    pub const fn ram(&self) -> usize {
        self.arena.saturating_add(STATICS + STACK)
    }

    /// Whether all of it finds room and time on `board`.
    ///
    /// # Errors
    /// What is too small; RAM first, since it is the scarcest.
    pub const fn fits(&self, board: &'static Board) -> Result<(), Misfit> {
        if self.ram() > board.ram.len as usize {
            return Err(Misfit::Ram(board, *self));
        }
        if self.flash() > board.flash.len as usize {
            return Err(Misfit::Flash(board, *self));
        }
        if self.work > most_work(board) {
            return Err(Misfit::Work(board, *self));
        }
        Ok(())
    }
}

/// Values that operators may read for an image on `board`.
pub const fn most_work(board: &Board) -> u64 {
    board.hz as u64 * SECONDS
}

impl Misfit {
    /// The first line: how much is missing.
    pub fn headline(&self) -> impl fmt::Display + use<> {
        Headline(*self)
    }
}

struct Headline(Misfit);

impl fmt::Display for Headline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (board, memory, needs, has) = match self.0 {
            Misfit::Flash(board, load) => (board, "flash", load.flash(), board.flash.len),
            Misfit::Ram(board, load) => (board, "RAM", load.ram(), board.ram.len),
            Misfit::Work(board, load) => {
                return write!(
                    f,
                    "its operators read {} values an image, {} takes up to {} ({SECONDS} s)",
                    load.work,
                    board.name,
                    most_work(board)
                );
            }
        };
        let (has, kb) = (has as usize, |bytes: usize| bytes as f64 / 1024.0);
        write!(
            f,
            "needs {:.1} KB of {memory}, {} has {:.1} KB ({:.1} KB over)",
            kb(needs),
            board.name,
            kb(has),
            kb(needs.saturating_sub(has))
        )
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n  where: ", self.headline())?;
        match self {
            Self::Flash(_, load) => {
                writeln!(
                    f,
                    "model {} + images {} + code {CODE} bytes",
                    load.model, load.images
                )?;
                write!(
                    f,
                    "  do:    lower distill.net.width in run.toml and run it again"
                )?;
                write!(f, "\n         or choose a board with more flash")
            }
            Self::Work(..) => write!(
                f,
                "layers that read more than their weights, such as poolings over large windows\n  \
                 do:    look at the layers with `pupil inspect`, and pack a smaller net"
            ),
            Self::Ram(_, load) => {
                writeln!(
                    f,
                    "arena {} + statics {STATICS} + stack {STACK} bytes",
                    load.arena
                )?;
                write!(
                    f,
                    "  do:    lower distill.net.width or distill.net.expand_ratio in run.toml"
                )?;
                write!(
                    f,
                    " and run it again\n         or set schedule = \"smallest\" under [pack], or \
                     choose a board with more RAM"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boards::find;

    const SMALL: Load = Load {
        model: 28_588,
        images: 25_132,
        arena: 10_976,
        work: 426_206,
    };

    #[test]
    fn the_committed_models_fit_as_the_readme_says() {
        let load = |model: &[u8]| {
            let parsed = pupil_core::model::Model::parse(model).unwrap();
            let images = include_bytes!("../model/images.bin").len();
            Load {
                model: model.len(),
                images,
                arena: parsed.arena_len(),
                work: parsed.work(),
            }
        };
        let quickstart = load(include_bytes!("../model/quickstart.pupil"));
        let tiny = load(include_bytes!("../model/tiny.pupil"));
        for name in ["mps2-an386", "mps3-an547", "virt"] {
            assert_eq!(quickstart.fits(find(name).unwrap()), Ok(()), "{name}");
        }
        let microbit = find("microbit").unwrap();
        assert!(quickstart.fits(microbit).is_err());
        assert_eq!(tiny.fits(microbit), Ok(()));
    }

    #[test]
    fn the_last_byte_decides() {
        let board = find("microbit").unwrap();
        let most = board.ram.len as usize - STATICS - STACK;
        assert_eq!(
            Load {
                arena: most,
                ..SMALL
            }
            .fits(board),
            Ok(())
        );
        let over = Load {
            arena: most + 1,
            ..SMALL
        };
        assert_eq!(over.fits(board), Err(Misfit::Ram(board, over)));
        let most = board.flash.len as usize - SMALL.images - CODE;
        assert_eq!(
            Load {
                model: most,
                ..SMALL
            }
            .fits(board),
            Ok(())
        );
        let over = Load {
            model: most + 1,
            ..SMALL
        };
        assert_eq!(over.fits(board), Err(Misfit::Flash(board, over)));
        let most = most_work(board);
        let slow = |work| Load { work, ..SMALL };
        assert_eq!(slow(most).fits(board), Ok(()));
        let over = slow(most + 1);
        assert_eq!(over.fits(board), Err(Misfit::Work(board, over)));
        assert!(
            over.fits(board)
                .unwrap_err()
                .to_string()
                .starts_with("its operators read 320000001 values an image, microbit takes up to")
        );
        assert!(
            Load {
                model: usize::MAX,
                ..SMALL
            }
            .fits(board)
            .is_err()
        );
    }

    #[test]
    fn a_misfit_says_what_where_and_what_to_do() {
        let board = find("microbit").unwrap();
        let text = Load {
            arena: 28_224,
            ..SMALL
        }
        .fits(board)
        .unwrap_err()
        .to_string();
        assert_eq!(
            text,
            "needs 31.8 KB of RAM, microbit has 16.0 KB (15.8 KB over)\n  \
             where: arena 28224 + statics 256 + stack 4096 bytes\n  \
             do:    lower distill.net.width or distill.net.expand_ratio in run.toml and run it again\n         \
             or set schedule = \"smallest\" under [pack], or choose a board with more RAM"
        );
        let text = Load {
            model: 300_000,
            ..SMALL
        }
        .fits(board)
        .unwrap_err()
        .to_string();
        assert!(text.starts_with("needs 365.5 KB of flash, microbit has 256.0 KB (109.5 KB over)"));
    }
}
