//! Firmware output against the host: the same images through the same core.

use pupil_core::interpreter::Interpreter;
use pupil_core::model::Model;
use pupil_firmware::images::Images;
use pupil_firmware::protocol::{hex_bytes, number, value};

/// One image as the firmware reported it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// True class; −1 where unknown.
    pub label: i64,
    /// Class with the greatest score.
    pub class: usize,
    /// That score.
    pub score: i8,
    /// Instructions of the inference.
    pub instructions: u64,
    /// All output bytes.
    pub scores: Vec<i8>,
}

/// A whole run of the firmware.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Bytes of the packed model.
    pub model_bytes: usize,
    /// Bytes of the arena.
    pub arena: usize,
    /// Greatest depth of the stack.
    pub stack: usize,
    /// Every image, in order.
    pub answers: Vec<Answer>,
}

/// Reads the firmware's lines.
///
/// # Errors
/// The line that is missing or says that the firmware failed.
pub fn parse_log(text: &str) -> Result<Log, String> {
    let mut log = Log {
        model_bytes: 0,
        arena: 0,
        stack: 0,
        answers: Vec::new(),
    };
    let mut ended = false;
    for line in text.lines() {
        let field = |key: &str| {
            number(line, key).ok_or_else(|| format!("no `{key}` in the firmware's line `{line}`"))
        };
        match line.split(' ').next() {
            Some("model") => {
                log.model_bytes = field("bytes")? as usize;
                log.arena = field("arena")? as usize;
            }
            Some("image") => {
                let scores = value(line, "scores").and_then(hex_bytes);
                log.answers.push(Answer {
                    label: field("label")?,
                    class: field("class")? as usize,
                    score: field("score")? as i8,
                    instructions: field("instructions")? as u64,
                    scores: scores.ok_or(format!("no scores in `{line}`"))?.collect(),
                });
            }
            Some("end") => {
                ended = field("images")? as usize == log.answers.len();
                log.stack = field("stack")? as usize;
            }
            Some("error") => return Err(format!("the firmware says: {line}")),
            _ => {}
        }
    }
    if ended {
        Ok(log)
    } else {
        Err("the firmware's output ends early".into())
    }
}

/// The host's scores of every image.
///
/// # Errors
/// A model or image block that does not parse, or images of another size.
pub fn host_scores(model: &[u8], images: &[u8]) -> Result<Vec<Vec<i8>>, String> {
    let model = Model::parse(model).map_err(|e| e.to_string())?;
    let images = Images::parse(images).ok_or("the image block is damaged")?;
    let mut arena = vec![0; model.arena_len()];
    let mut interpreter = Interpreter::new(&model, &mut arena).map_err(|e| e.to_string())?;
    let mut all = Vec::new();
    for i in 0..images.len() {
        let (_, pixels) = images.get(i).ok_or("the image block is short")?;
        interpreter.load(pixels).map_err(|e| e.to_string())?;
        all.push(interpreter.run(&mut ()).to_vec());
    }
    Ok(all)
}

/// How many images agree byte for byte, and the first that does not, in words.
pub fn compare(log: &Log, host: &[Vec<i8>]) -> (usize, Option<String>) {
    let mut agree = 0;
    let mut first = None;
    for (i, expected) in host.iter().enumerate() {
        let found = log.answers.get(i).map(|a| &a.scores);
        if found == Some(expected) {
            agree += 1;
        } else if first.is_none() {
            let class = found.and_then(|f| f.iter().zip(expected).position(|(a, b)| a != b));
            first = Some(match (found, class) {
                (Some(found), Some(c)) => {
                    format!(
                        "image {i}, class {c}: host {}, device {}",
                        expected[c], found[c]
                    )
                }
                _ => format!(
                    "image {i}: the device has no answer of {} scores",
                    expected.len()
                ),
            });
        }
    }
    (agree, first)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "model bytes=9 arena=8 classes=2\n\
        image index=0 label=1 class=1 score=5 instructions=77 scores=8005\nend images=1 stack=100\n";

    #[test]
    fn a_log_is_read_and_compared() {
        let log = parse_log(TEXT).unwrap();
        assert_eq!(
            (log.arena, log.stack, log.answers[0].instructions),
            (8, 100, 77)
        );
        assert_eq!(compare(&log, &[vec![-128, 5]]), (1, None));
        let (agree, first) = compare(&log, &[vec![-128, 6]]);
        assert_eq!(
            (agree, first.unwrap()),
            (0, "image 0, class 1: host 6, device 5".into())
        );
        assert_eq!(compare(&log, &[vec![-128, 5], vec![0, 0]]).0, 1);
    }

    #[test]
    fn early_ends_and_errors_are_told() {
        assert!(
            parse_log("model bytes=9 arena=8 classes=2\n")
                .unwrap_err()
                .contains("early")
        );
        assert!(parse_log("error what=panic").unwrap_err().contains("panic"));
        assert!(
            parse_log(&TEXT.replace("=77", "=x"))
                .unwrap_err()
                .contains("instructions")
        );
    }
}
