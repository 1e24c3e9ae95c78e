//! The lines that firmware prints and tools read: one record a line, words and `key=value`.
//!
//! ```text
//! model bytes=68572 arena=28224 classes=10
//! image index=0 label=2 class=2 score=118 instructions=13220417 scores=8080ff...
//! end images=32 stack=1044
//! error what=…
//! ```
//! `label` is −1 where no true class is known. `scores` are the output bytes, two hexadecimal
//! digits a class.

use core::fmt::{self, Write};

/// Longest line: scores of a thousand classes.
pub const LINE_BYTES: usize = 2200;

/// What a program says before its first frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelLine {
    /// Bytes of the packed model.
    pub bytes: usize,
    /// Bytes of its arena.
    pub arena: usize,
    /// Number of classes.
    pub classes: usize,
}

impl fmt::Display for ModelLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "model bytes={} arena={} classes={}",
            self.bytes, self.arena, self.classes
        )
    }
}

/// One classified frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageLine<'a> {
    /// Counted from 0.
    pub index: usize,
    /// True class, if known.
    pub label: Option<u8>,
    /// Class with the greatest score.
    pub class: u16,
    /// That score.
    pub score: i8,
    /// Instructions of the inference.
    pub instructions: u64,
    /// All scores.
    pub scores: &'a [i8],
}

impl fmt::Display for ImageLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let label = self.label.map_or(-1, i16::from);
        write!(
            f,
            "image index={} label={label} class={} score={} instructions={} scores=",
            self.index, self.class, self.score, self.instructions
        )?;
        const DIGITS: [char; 16] = [
            '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
        ];
        for score in self.scores {
            let byte = usize::from(*score as u8);
            f.write_char(DIGITS[byte >> 4])?;
            f.write_char(DIGITS[byte & 15])?;
        }
        Ok(())
    }
}

/// The last line of a program that has seen all frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndLine {
    /// Frames classified.
    pub images: usize,
    /// Greatest depth of the stack in bytes.
    pub stack: usize,
}

impl fmt::Display for EndLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "end images={} stack={}", self.images, self.stack)
    }
}

/// The value of `key` in a line, up to the next space.
pub fn value<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.split(' ')
        .skip(1)
        .find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
}

/// The number behind `key`.
pub fn number(line: &str, key: &str) -> Option<i64> {
    value(line, key)?.parse().ok()
}

/// The bytes of a hexadecimal value, in order.
pub fn hex_bytes(text: &str) -> Option<impl Iterator<Item = i8> + '_> {
    let ok = text.len().is_multiple_of(2) && text.bytes().all(|b| b.is_ascii_hexdigit());
    let pairs = text.as_bytes().chunks_exact(2);
    let byte = |pair: &[u8]| {
        let digit = |b: u8| (char::from(b).to_digit(16).unwrap_or(0)) as u8;
        ((digit(pair[0]) << 4) | digit(pair[1])) as i8
    };
    ok.then(|| pairs.map(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let scores = [-128, 0, 127, -1];
        let line = ImageLine {
            index: 3,
            label: None,
            class: 2,
            score: 127,
            instructions: 12_345_678_901,
            scores: &scores,
        }
        .to_string();
        assert!(line.starts_with("image index=3 label=-1 class=2 score=127 "));
        assert_eq!(number(&line, "instructions"), Some(12_345_678_901));
        let bytes: Vec<i8> = hex_bytes(value(&line, "scores").unwrap())
            .unwrap()
            .collect();
        assert_eq!(bytes, scores);
        let end = EndLine {
            images: 32,
            stack: 99,
        }
        .to_string();
        assert_eq!(
            (number(&end, "images"), number(&end, "stack")),
            (Some(32), Some(99))
        );
        let model = ModelLine {
            bytes: 5,
            arena: 6,
            classes: 7,
        }
        .to_string();
        assert_eq!(
            (number(&model, "arena"), number(&model, "nothing")),
            (Some(6), None)
        );
    }

    #[test]
    fn damaged_lines_have_no_values() {
        assert!(hex_bytes("abc").is_none() && hex_bytes("zz").is_none());
        assert_eq!(number("image index=x", "index"), None);
        assert_eq!(value("", "index"), None);
    }
}
