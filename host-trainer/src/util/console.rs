//! Everything that the program prints.
//!
//! Printing never ends a run: lines on stderr that can't be written are dropped, and a result that
//! can't be written to stdout is an error for the caller to report. Control characters are escaped
//! here, at the boundary, because names of files, classes and tensors come from outside and must
//! not move a terminal's cursor, change its title or reorder its text.
//!
//! `println!` and its siblings panic where they can't write; a lint of the crate forbids them.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write as _};

use thiserror::Error;

/// A result that could not be written to stdout.
#[derive(Debug, Error)]
#[error(
    "the result can't be written to stdout: {0}\n  do:    make room where stdout goes, and repeat the command"
)]
pub(crate) struct Unwritten(#[from] io::Error);

/// A line on stderr, dropped where stderr is closed or full.
pub(crate) fn note(line: &str) {
    // One write a line: threads don't cut each other's lines in two.
    let line = format!("{}\n", shortened(&escaped(line)));
    let _ = io::stderr().write_all(line.as_bytes());
}

/// A result on stdout. A reader that goes away early, as `head` does, is no error.
///
/// # Errors
/// A stdout that can't be written to, such as a full disk.
pub(crate) fn result(text: &str) -> Result<(), Unwritten> {
    let mut stdout = io::stdout().lock();
    let written = stdout
        .write_all(escaped(text).as_bytes())
        .and_then(|()| stdout.flush());
    accept_gone_reader(written)
}

/// A reader that goes away early is no error.
///
/// # Errors
/// Any other trouble of writing to stdout.
pub(crate) fn accept_gone_reader(written: io::Result<()>) -> Result<(), Unwritten> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Unwritten(error)),
        _ => Ok(()),
    }
}

/// Most characters of a line on stderr: a name from outside may have millions.
const LONGEST_LINE: usize = 4096;

/// `text` without the middle of lines that are too long for people.
fn shortened(text: &str) -> Cow<'_, str> {
    if text.len() <= LONGEST_LINE {
        return Cow::Borrowed(text);
    }
    let lines = text.split('\n').map(|line| {
        let characters = line.chars().count();
        if characters <= LONGEST_LINE {
            return Cow::Borrowed(line);
        }
        let half = LONGEST_LINE / 2;
        let start: String = line.chars().take(half).collect();
        let end: String = line.chars().skip(characters - half).collect();
        let left_out = characters - 2 * half;
        Cow::Owned(format!("{start}… {left_out} characters …{end}"))
    });
    Cow::Owned(lines.collect::<Vec<_>>().join("\n"))
}

/// `text` as [`escaped`], on one line: for a name in the middle of a line.
pub(crate) fn printable(text: &str) -> String {
    escaped(text).replace('\n', "\\u000a")
}

/// `text` with control characters and marks that reorder text as `\u001b`, which is how JSON
/// writes them too. Line ends and tabs stay.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_unsafe(c) {
            // All of them have four digits at most.
            let _ = write!(safe, "\\u{:04x}", u32::from(c));
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

/// C0 but for line end and tab, DEL, C1, and the bidirectional embeddings, overrides and isolates.
pub(crate) fn is_unsafe(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_control_character_reaches_a_terminal() {
        assert!(matches!(escaped("plain ü\n\ttext"), Cow::Borrowed(_)));
        let title = "a\u{1b}]0;owned\u{7}\r\u{7f}\u{9b}31m\u{202e}b\u{2066}";
        assert_eq!(
            escaped(title),
            "a\\u001b]0;owned\\u0007\\u000d\\u007f\\u009b31m\\u202eb\\u2066"
        );
        for code in 0..=0x2fff {
            let Some(c) = char::from_u32(code) else {
                continue;
            };
            let text = escaped(&c.to_string()).into_owned();
            let kept = c == '\n' || c == '\t' || !text.contains(char::is_control);
            assert!(kept, "{code:#x}");
        }
        assert_eq!(printable("a\nb"), "a\\u000ab");
    }

    #[test]
    fn a_line_of_millions_of_characters_loses_its_middle() {
        let long = format!(
            "error: {}: damaged\n  do:    delete it",
            "ü".repeat(3_000_000)
        );
        let short = shortened(&long);
        assert!(short.len() < 9000);
        assert!(short.starts_with("error: ü") && short.ends_with("ü: damaged\n  do:    delete it"));
        assert!(matches!(shortened("short"), Cow::Borrowed(_)));
    }

    #[test]
    fn escaped_json_is_the_same_json() {
        let name = "x\u{1b}\u{7f}\u{9b}\u{202e}y";
        let text = serde_json::json!({ "file": name }).to_string();
        let back: serde_json::Value = serde_json::from_str(&escaped(&text)).unwrap();
        assert_eq!(back["file"], name);
        assert!(!escaped(&text).contains(|c: char| c.is_control()));
    }
}
