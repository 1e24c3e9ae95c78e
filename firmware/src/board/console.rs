//! Lines to the debugger by semihosting, the end of the program, and panics.
//!
//! Semihosting stops the core for every line and needs a debugger (or QEMU). On a board that runs
//! alone, print to a UART or RTT instead: implement [`Output`].

use core::panic::PanicInfo;

use semihosting::io::{Write, stdout};

use crate::protocol::{Line, Output, Record};

/// The debugger's console.
#[derive(Clone, Copy, Debug)]
pub struct Console;

impl Output for Console {
    fn line(&mut self, text: &str) {
        if let Ok(mut out) = stdout() {
            // Nobody is left to be told if this fails.
            let _ = out.write_all(text.as_bytes());
            let _ = out.write_all(b"\n");
        }
    }
}

/// Ends the program; QEMU exits with `code`.
pub fn exit(code: i32) -> ! {
    semihosting::process::exit(code)
}

/// Says in one word why the program can't go on, and ends it with 2.
pub fn fail(what: &str) -> ! {
    Record::Error { what }.print(&mut Console);
    exit(2)
}

/// A panic says where and ends with 101. Its message is left out: formatting it would be most of
/// the program's code.
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let mut line = Line::new("error");
    line.text("what", "panic");
    if let Some(place) = info.location() {
        line.text("file", place.file()).number("line", place.line());
    }
    Console.line(line.as_str());
    exit(101)
}
