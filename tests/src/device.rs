//! Firmware output against the host: the same images through the same core.

use pupil_core::interpreter::Interpreter;
use pupil_core::model::Model;
use pupil_firmware::decision::Decision;
use pupil_firmware::images::Images;
use pupil_firmware::protocol::Record;

/// One image as the firmware reported it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// True class, where it is known.
    pub label: Option<usize>,
    /// Class with the greatest score.
    pub class: usize,
    /// That score.
    pub score: i8,
    /// What the application would do.
    pub decision: Decision,
    /// Ticks of the board's clock that the inference took.
    pub ticks: u64,
    /// All output bytes.
    pub scores: Vec<i8>,
}

/// A whole run of the firmware.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// Hash of the packed model: which one it was.
    pub model_hash: u32,
    /// Bytes of the packed model.
    pub model_bytes: usize,
    /// Bytes of the arena.
    pub arena: usize,
    /// Greatest depth of the stack.
    pub stack: usize,
    /// Bytes that the stack could have taken.
    pub stack_room: usize,
    /// Every image, in order.
    pub answers: Vec<Answer>,
}

/// Reads the firmware's lines; lines that are no records are skipped.
///
/// # Errors
/// The line in which the firmware says why it failed, or what is missing.
pub fn parse_log(text: &str) -> Result<Log, String> {
    let mut log = Log::default();
    let mut ended = None;
    for line in text.lines() {
        match Record::parse(line) {
            Some(Record::Model {
                hash, bytes, arena, ..
            }) => {
                (log.model_hash, log.model_bytes, log.arena) = (hash, bytes, arena);
            }
            Some(Record::Image {
                index,
                label,
                verdict,
                ticks,
                scores,
            }) => {
                if index != log.answers.len() {
                    return Err(format!(
                        "image {} is missing before `{line}`",
                        log.answers.len()
                    ));
                }
                log.answers.push(Answer {
                    label: label.map(usize::from),
                    class: verdict.class.into(),
                    score: verdict.score,
                    decision: verdict.decision,
                    ticks,
                    scores: scores.iter().collect(),
                });
            }
            Some(Record::End {
                images,
                stack,
                room,
            }) => {
                ended = Some(images);
                (log.stack, log.stack_room) = (stack, room);
            }
            Some(Record::Error { .. }) => return Err(format!("the firmware says: {line}")),
            Some(Record::Board { .. } | Record::Case { .. }) | None => {}
        }
    }
    match ended {
        Some(images) if images == log.answers.len() => Ok(log),
        Some(images) => Err(format!(
            "{images} images, but lines for {}",
            log.answers.len()
        )),
        None => Err(format!(
            "the firmware's output ends early, after {} images",
            log.answers.len()
        )),
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
        let scores = interpreter.run(&mut ()).map_err(|e| e.to_string())?;
        all.push(scores.to_vec());
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

    const TEXT: &str = "board name=x hz=1\nmodel hash=0000000a bytes=9 arena=8 classes=2\n\
        image index=0 label=1 class=1 score=5 decision=unsure ticks=77 scores=8005\n\
        end images=1 stack=100 room=900\n";

    #[test]
    fn a_log_is_read_and_compared() {
        let log = parse_log(TEXT).unwrap();
        assert_eq!(
            (log.model_hash, log.arena, log.answers[0].ticks),
            (10, 8, 77)
        );
        assert_eq!((log.stack, log.stack_room), (100, 900));
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
        let fails = |text: &str, with: &str| {
            let error = parse_log(text).unwrap_err();
            assert!(error.contains(with), "{error}");
        };
        fails("model hash=0 bytes=9 arena=8 classes=2\n", "early, after 0");
        fails("error what=panic", "panic");
        fails(
            &TEXT.replace("ticks=77", "ticks=x"),
            "1 images, but lines for 0",
        );
        fails(&TEXT.replace("index=0", "index=1"), "image 0 is missing");
    }
}
