//! The lines that firmware prints and tools read. Both directions live here.
//!
//! One record a line: a word, then `key=value` pairs. Readers skip lines and keys that they do not
//! know, so that a board may print more. `label` is missing where the true class is unknown,
//! `scores` are the output bytes, two hexadecimal digits a class. `hz` are ticks a second.
//!
//! ```text
//! board name=mps2-an386 hz=25000000
//! model hash=93c1f2d0 bytes=68572 arena=28224 classes=10
//! image index=0 label=2 class=2 score=118 decision=answer ticks=21152667 scores=8080ff80808080808080
//! end images=32 stack=1044 room=13560
//! error what=arena needed=28224 got=16384
//! ```
//!
//! The program `bench` prints a line for every case, with the number of wrong output bytes:
//!
//! ```text
//! case index=0 ticks=830360 wrong=0
//! ```
//!
//! Writing takes no `core::fmt`, which would be most of a small program's flash.

use heapless::String;

use crate::decision::{Decision, Verdict};

/// Bytes of the longest line: scores of 190 classes and the other values.
pub const LINE_BYTES: usize = 512;

/// Takes finished lines, without their line end.
pub trait Output {
    /// Prints one line.
    fn line(&mut self, text: &str);
}

/// One line while it is written. What does not fit is left out.
#[derive(Clone, Debug, Default)]
pub struct Line {
    text: String<LINE_BYTES>,
}

impl Line {
    /// Starts with the record's word.
    pub fn new(word: &str) -> Self {
        let mut line = Self {
            text: String::new(),
        };
        line.word(word);
        line
    }

    /// The line so far.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Adds ` key=value` for a word without spaces.
    pub fn text(&mut self, key: &str, value: &str) -> &mut Self {
        self.key(key).word(value)
    }

    /// Adds ` key=value` for a number.
    pub fn number(&mut self, key: &str, value: impl Into<i64>) -> &mut Self {
        self.key(key).decimal(value.into())
    }

    /// Adds ` key=value` for a size or a count.
    pub fn size(&mut self, key: &str, value: usize) -> &mut Self {
        self.number(key, i64::try_from(value).unwrap_or(i64::MAX))
    }

    /// Adds ` key=value` for bytes, two hexadecimal digits each.
    pub fn bytes(&mut self, key: &str, bytes: impl Iterator<Item = u8>) -> &mut Self {
        bytes.fold(self.key(key), |line, byte| {
            line.digit(byte >> 4).digit(byte & 15)
        })
    }

    fn key(&mut self, key: &str) -> &mut Self {
        self.word(" ").word(key).word("=")
    }

    fn word(&mut self, word: &str) -> &mut Self {
        // A full line stays as it is.
        let _ = self.text.push_str(word);
        self
    }

    fn digit(&mut self, value: u8) -> &mut Self {
        let digit = if value < 10 {
            b'0' + value
        } else {
            b'a' + (value - 10)
        };
        let _ = self.text.push(char::from(digit));
        self
    }

    fn decimal(&mut self, value: i64) -> &mut Self {
        if value < 0 {
            self.word("-");
        }
        let mut rest = value.unsigned_abs();
        let mut digits = [0; 20]; // 2^64 has 20 digits
        let mut count = 0;
        for digit in &mut digits {
            *digit = (rest % 10) as u8;
            rest /= 10;
            count += 1;
            if rest == 0 {
                break;
            }
        }
        digits
            .iter()
            .take(count)
            .rev()
            .fold(self, |line, digit| line.digit(*digit))
    }
}

/// One record; what it borrows is the line it was read from, or the scores to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record<'a> {
    /// The program starts.
    Board {
        /// Its name.
        name: &'a str,
        /// Ticks of its clock in a second.
        hz: u32,
    },
    /// The model is in its arena.
    Model {
        /// [`hash`] of the packed bytes.
        hash: u32,
        /// How many they are.
        bytes: usize,
        /// Bytes of RAM that it works in.
        arena: usize,
        /// How many scores a frame has.
        classes: usize,
    },
    /// One frame is classified.
    Image {
        /// Counted from 0.
        index: usize,
        /// True class, where it is known.
        label: Option<u16>,
        /// Best class, its score, and what to do.
        verdict: Verdict,
        /// Ticks of the inference.
        ticks: u64,
        /// All scores.
        scores: Scores<'a>,
    },
    /// All frames are classified.
    End {
        /// How many.
        images: usize,
        /// Greatest depth of the stack in bytes.
        stack: usize,
        /// Bytes that the stack may grow to before it meets the statics.
        room: usize,
    },
    /// A layer or model of the program `bench` has run.
    Case {
        /// Counted from 0.
        index: usize,
        /// Ticks that it took.
        ticks: u64,
        /// Ticks of the longest step between two places where a program may yield.
        longest: u64,
        /// Output bytes that differ from the host's, and bytes changed where nothing may be.
        wrong: usize,
    },
    /// The program can't go on.
    Error {
        /// One word.
        what: &'a str,
    },
}

impl<'a> Record<'a> {
    /// The line of this record.
    pub fn to_line(&self) -> Line {
        let mut line = Line::default();
        self.write(&mut line);
        line
    }

    /// Prints the line. Its buffer lives in this call alone: inlined, it would lie on the stack
    /// under a whole inference.
    #[inline(never)]
    pub fn print(&self, output: &mut dyn Output) {
        let mut line = Line::default();
        self.write(&mut line);
        output.line(line.as_str());
    }

    fn write(&self, line: &mut Line) {
        match *self {
            Self::Board { name, hz } => line.word("board").text("name", name).number("hz", hz),
            Self::Model {
                hash,
                bytes,
                arena,
                classes,
            } => line
                .word("model")
                .bytes("hash", hash.to_be_bytes().into_iter())
                .size("bytes", bytes)
                .size("arena", arena)
                .size("classes", classes),
            Self::Image {
                index,
                label,
                verdict,
                ticks,
                scores,
            } => {
                line.word("image").size("index", index);
                if let Some(label) = label {
                    line.number("label", label);
                }
                line.number("class", verdict.class)
                    .number("score", verdict.score)
                    .text("decision", verdict.decision.word())
                    .number("ticks", i64::try_from(ticks).unwrap_or(i64::MAX))
                    .bytes("scores", scores.iter().map(i8::cast_unsigned))
            }
            Self::End {
                images,
                stack,
                room,
            } => line
                .word("end")
                .size("images", images)
                .size("stack", stack)
                .size("room", room),
            Self::Case {
                index,
                ticks,
                longest,
                wrong,
            } => line
                .word("case")
                .size("index", index)
                .number("ticks", i64::try_from(ticks).unwrap_or(i64::MAX))
                .number("longest", i64::try_from(longest).unwrap_or(i64::MAX))
                .size("wrong", wrong),
            Self::Error { what } => line.word("error").text("what", what),
        };
    }

    /// Reads a line; none if it is no record, or one with missing or damaged values.
    pub fn parse(line: &'a str) -> Option<Self> {
        let (word, _) = line.trim_end().split_once(' ')?;
        Some(match word {
            "board" => Self::Board {
                name: value(line, "name")?,
                hz: number(line, "hz")?,
            },
            "model" => Self::Model {
                hash: u32::from_str_radix(value(line, "hash")?, 16).ok()?,
                bytes: number(line, "bytes")?,
                arena: number(line, "arena")?,
                classes: number(line, "classes")?,
            },
            "image" => Self::Image {
                index: number(line, "index")?,
                label: value(line, "label").map_or(Some(None), |v| v.parse().ok().map(Some))?,
                verdict: Verdict {
                    class: number(line, "class")?,
                    score: number(line, "score")?,
                    decision: Decision::from_word(value(line, "decision")?)?,
                },
                ticks: number(line, "ticks")?,
                scores: Scores::from_hex(value(line, "scores")?)?,
            },
            "end" => Self::End {
                images: number(line, "images")?,
                stack: number(line, "stack")?,
                room: number(line, "room")?,
            },
            "case" => Self::Case {
                index: number(line, "index")?,
                ticks: number(line, "ticks")?,
                longest: number(line, "longest")?,
                wrong: number(line, "wrong")?,
            },
            "error" => Self::Error {
                what: value(line, "what")?,
            },
            _ => return None,
        })
    }
}

/// Scores of a frame, as bytes or as the digits of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scores<'a> {
    /// As the model wrote them.
    Bytes(&'a [i8]),
    /// Two checked hexadecimal digits each.
    Hex(&'a str),
}

impl<'a> Scores<'a> {
    fn from_hex(text: &'a str) -> Option<Self> {
        let ok = text.len().is_multiple_of(2) && text.bytes().all(|b| b.is_ascii_hexdigit());
        ok.then_some(Self::Hex(text))
    }

    /// The scores in order.
    pub fn iter(&self) -> impl Iterator<Item = i8> + use<'a> {
        let (bytes, hex) = match *self {
            Self::Bytes(bytes) => (bytes, ""),
            Self::Hex(text) => (&[][..], text),
        };
        let digit = |b: u8| char::from(b).to_digit(16).unwrap_or(0) as u8;
        let pairs = hex.as_bytes().as_chunks::<2>().0.iter();
        let from_hex = pairs.map(move |[a, b]| (digit(*a) << 4 | digit(*b)).cast_signed());
        bytes.iter().copied().chain(from_hex)
    }
}

/// The value of `key` in a line, up to the next space.
pub fn value<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.split_whitespace()
        .skip(1)
        .find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
}

/// The number behind `key`.
pub fn number<T: core::str::FromStr>(line: &str, key: &str) -> Option<T> {
    value(line, key)?.parse().ok()
}

/// A short name for a model: FNV-1a of its bytes.
///
/// ```
/// assert_eq!(pupil_firmware::protocol::hash(b"a"), 0xe40c_292c);
/// ```
pub fn hash(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERDICT: Verdict = Verdict {
        class: 2,
        score: -128,
        decision: Decision::Unsure,
    };

    fn round_trip(record: Record<'_>) -> std::string::String {
        let line = record.to_line().as_str().to_string();
        assert_eq!(
            Record::parse(&line).map(|r| r.to_line().as_str().to_string()),
            Some(line.clone())
        );
        line
    }

    #[test]
    fn what_is_written_is_read_back() {
        let scores = Scores::Bytes(&[-128, 0, 127, -1]);
        let ticks = 12_345_678_901;
        let image = Record::Image {
            index: 3,
            label: Some(7),
            verdict: VERDICT,
            ticks,
            scores,
        };
        assert_eq!(
            round_trip(image),
            "image index=3 label=7 class=2 score=-128 decision=unsure ticks=12345678901 scores=80007fff"
        );
        let unknown = Record::Image {
            index: 0,
            label: None,
            verdict: VERDICT,
            ticks: 0,
            scores,
        };
        assert!(!round_trip(unknown).contains("label"));
        let model = Record::Model {
            hash: 0x0012_abcd,
            bytes: 5,
            arena: 6,
            classes: 7,
        };
        assert_eq!(
            round_trip(model),
            "model hash=0012abcd bytes=5 arena=6 classes=7"
        );
        assert_eq!(
            round_trip(Record::Board { name: "x", hz: 9 }),
            "board name=x hz=9"
        );
        let end = Record::End {
            images: 32,
            stack: 99,
            room: 1000,
        };
        assert_eq!(round_trip(end), "end images=32 stack=99 room=1000");
        assert_eq!(
            round_trip(Record::Error { what: "panic" }),
            "error what=panic"
        );
    }

    #[test]
    fn scores_come_back_as_bytes() {
        let all: Vec<i8> = (i8::MIN..=i8::MAX).step_by(3).collect();
        let scores = Scores::Bytes(&all);
        let image = Record::Image {
            index: 0,
            label: None,
            verdict: VERDICT,
            ticks: 1,
            scores,
        };
        let line = image.to_line();
        let Some(Record::Image { scores, .. }) = Record::parse(line.as_str()) else {
            panic!("no image in {}", line.as_str());
        };
        assert!(scores.iter().eq(all));
    }

    #[test]
    fn damaged_and_foreign_lines_are_no_records() {
        let cut = "image index=3 class=2 score=1 decision=unsure ticks=1 scores=80f";
        for line in [
            "",
            "image",
            "hello world",
            "end images=x stack=1 room=2",
            "end images=1",
            cut,
        ] {
            assert_eq!(Record::parse(line), None, "{line}");
        }
        let bad_label = "image index=3 label=-1 class=2 score=1 decision=unsure ticks=1 scores=80";
        assert_eq!(Record::parse(bad_label), None);
    }

    #[test]
    fn unknown_keys_and_line_ends_are_skipped() {
        let line = "end images=1 color=red stack=2 room=3\r";
        assert_eq!(
            Record::parse(line),
            Some(Record::End {
                images: 1,
                stack: 2,
                room: 3
            })
        );
    }

    #[test]
    fn extreme_numbers_are_written_whole() {
        let mut line = Line::new("n");
        line.number("a", i64::MIN)
            .number("b", i64::MAX)
            .number("c", 0);
        assert_eq!(
            line.as_str(),
            format!("n a={} b={} c=0", i64::MIN, i64::MAX)
        );
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_and_not_a_record() {
        let scores = [0; 1000];
        let scores = Scores::Bytes(&scores);
        let image = Record::Image {
            index: 0,
            label: None,
            verdict: VERDICT,
            ticks: 1,
            scores,
        };
        assert_eq!(image.to_line().as_str().len(), LINE_BYTES);
    }
}
