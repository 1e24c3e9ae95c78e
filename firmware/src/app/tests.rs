//! The application on the host: a mock camera, a counting clock, the committed models.

use super::*;
use crate::camera::EmbeddedImages;
use crate::decision::Decision;
use crate::images::Images;

const TINY: &[u8] = include_bytes!("../../model/tiny.pupil");
const IMAGES: &[u8] = include_bytes!("../../model/images.bin");

/// Shows given frames, then ends or fails.
struct MockCamera {
    frames: Vec<Vec<u8>>,
    announced: usize,
    fails: bool,
    shown: usize,
}

impl Camera for MockCamera {
    type Error = &'static str;

    fn frame_len(&self) -> usize {
        self.announced
    }

    fn capture(&mut self) -> Result<Option<Frame<'_>>, Self::Error> {
        let frame = self.frames.get(self.shown);
        self.shown += 1;
        match frame {
            Some(pixels) => Ok(Some(Frame {
                pixels,
                label: None,
            })),
            None if self.fails => Err("cable"),
            None => Ok(None),
        }
    }
}

/// Ten ticks more at every reading.
#[derive(Default)]
struct MockClock(u64);

impl Clock for MockClock {
    fn ticks(&mut self) -> u64 {
        self.0 += 10;
        self.0
    }
}

/// Keeps the lines.
#[derive(Default)]
struct Lines(Vec<String>);

impl Output for Lines {
    fn line(&mut self, text: &str) {
        self.0.push(text.to_string());
    }
}

fn run(camera: MockCamera, arena: usize) -> (Result<usize, AppError<&'static str>>, Vec<String>) {
    let model = Model::parse(TINY).unwrap();
    let (mut arena, mut lines) = (vec![0; arena], Lines::default());
    let app = App::new(
        &model,
        &mut arena,
        camera,
        MockClock::default(),
        Policy::default(),
    );
    let result = app.and_then(|mut app| app.run(&mut lines));
    (result, lines.0)
}

fn camera(frames: Vec<Vec<u8>>, fails: bool) -> MockCamera {
    MockCamera {
        frames,
        announced: 28 * 28,
        fails,
        shown: 0,
    }
}

fn arena_len() -> usize {
    Model::parse(TINY).unwrap().arena_len()
}

#[test]
fn every_frame_becomes_a_line() {
    let frames = vec![vec![0; 784], vec![255; 784]];
    let (result, lines) = run(camera(frames, false), arena_len());
    assert_eq!(result, Ok(2));
    assert_eq!(lines.len(), 2);
    for (i, line) in lines.iter().enumerate() {
        let Some(Record::Image {
            index,
            label,
            ticks,
            scores,
            ..
        }) = Record::parse(line)
        else {
            panic!("no image in {line}");
        };
        let layers = Model::parse(TINY).unwrap().layer_count() as u64;
        assert_eq!((index, label, ticks), (i, None, 10 * layers));
        assert_eq!(scores.iter().count(), 10);
    }
}

#[test]
fn answers_are_those_of_the_interpreter_alone() {
    let model = Model::parse(TINY).unwrap();
    let images = Images::parse(IMAGES).unwrap();
    let mut arena = vec![0; arena_len()];
    let policy = Policy {
        threshold: -128,
        agree: 1,
    };
    let source = EmbeddedImages::new(images);
    let mut app = App::new(&model, &mut arena, source, MockClock::default(), policy).unwrap();
    for (label, pixels) in images.iter() {
        let mut arena = vec![0; arena_len()];
        let mut interpreter = Interpreter::new(&model, &mut arena).unwrap();
        interpreter.load(pixels).unwrap();
        let expected = interpreter.run(&mut ()).unwrap();
        let found = app.classify_next().unwrap().unwrap();
        assert_eq!((found.label, found.scores), (Some(label.into()), expected));
        assert_eq!(found.verdict.decision, Decision::Answer);
    }
    assert!(app.classify_next().unwrap().is_none());
}

#[test]
fn failures_are_passed_on_with_their_reason() {
    let needed = 28 * 28;
    assert_eq!(
        run(camera(vec![], true), arena_len()).0,
        Err(AppError::Camera("cable"))
    );
    let wrong = MockCamera {
        announced: 3,
        ..camera(vec![], false)
    };
    let result = run(wrong, arena_len()).0;
    assert_eq!(result, Err(AppError::FrameLen { needed, got: 3 }));
    let (result, lines) = run(camera(vec![vec![0; 5]], false), arena_len());
    assert!(matches!(result, Err(AppError::Frame(_))) && lines.is_empty());
    let result = run(camera(vec![], false), arena_len() - 1).0;
    assert!(matches!(result, Err(AppError::Arena(_))));
}

#[test]
fn a_model_is_described_by_its_numbers() {
    let line = describe(TINY, &Model::parse(TINY).unwrap()).to_line();
    let expected = format!("bytes={} arena={} classes=10", TINY.len(), arena_len());
    assert!(line.as_str().ends_with(&expected), "{}", line.as_str());
}
