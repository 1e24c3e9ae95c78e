//! The application: every frame of a camera through the model, one line each.

use core::fmt::Display;

use pupil_core::classify::top_k;
use pupil_core::error::{ArenaError, FrameError};
use pupil_core::interpreter::Interpreter;
use pupil_core::model::{Layer, Model};
use pupil_core::observer::Observer;

use crate::camera::Camera;
use crate::clock::Clock;
use crate::protocol::{ImageLine, ModelLine};

/// Why the application stops early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppError<E> {
    /// The arena is too small for the model.
    Arena(ArenaError),
    /// The camera's frames have another size than the model reads.
    Frame(FrameError),
    /// The camera failed.
    Camera(E),
}

/// Classifies frames until the camera has no more; returns how many.
///
/// `line` gets every line of the protocol but the last.
///
/// # Errors
/// See [`AppError`].
pub fn run<C: Camera>(
    model: &Model<'_>,
    arena: &mut [i8],
    camera: &mut C,
    clock: &mut impl Clock,
    line: &mut impl FnMut(&dyn Display),
) -> Result<usize, AppError<C::Error>> {
    line(&ModelLine {
        bytes: model.bytes().len(),
        arena: model.arena_len(),
        classes: model.class_count(),
    });
    let mut interpreter = Interpreter::new(model, arena).map_err(AppError::Arena)?;
    let mut index = 0;
    while let Some(frame) = camera.capture().map_err(AppError::Camera)? {
        interpreter.load(frame.pixels).map_err(AppError::Frame)?;
        let start = clock.instructions();
        let scores = interpreter.run(&mut Ticker(clock));
        let instructions = clock.instructions() - start;
        let best = top_k::<1>(scores);
        let (class, score) = best.first().map_or((0, -128), |c| (c.index, c.score));
        line(&ImageLine {
            index,
            label: frame.label,
            class,
            score,
            instructions,
            scores,
        });
        index += 1;
    }
    Ok(index)
}

/// Reads the clock at every layer, so that a short counter is seen before it wraps twice.
struct Ticker<'a, K: Clock>(&'a mut K);

impl<K: Clock> Observer for Ticker<'_, K> {
    fn before(&mut self, _: usize, _: &Layer<'_>) {
        self.0.instructions();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::Frame;
    use pupil_core::model::{Channel, Conv, InputSpec, ModelBuilder, PixelFormat};
    use pupil_core::quant::{Affine, Multiplier};
    use pupil_core::shape::Shape;

    /// Two classes: dark and bright.
    fn model() -> Vec<u8> {
        let affine = Affine {
            scale: 1.0,
            zero_point: 0,
        };
        let input = InputSpec {
            shape: Shape::new(1, 2, 1),
            format: PixelFormat::Grey8,
            affine,
        };
        let mut b = ModelBuilder::new(input, &["dark", "bright"]);
        let channel = Channel {
            bias: 0,
            multiplier: Multiplier::from_real(0.5),
        };
        let weights = vec![255, 255, 1, 1];
        b.dense(b.input(), Conv::dense(weights, vec![channel; 2], affine))
            .unwrap();
        b.finish().unwrap()
    }

    struct Mock {
        frames: Vec<Vec<u8>>,
        fail: bool,
        current: Vec<u8>,
    }

    impl Camera for Mock {
        type Error = &'static str;

        fn capture(&mut self) -> Result<Option<Frame<'_>>, Self::Error> {
            if self.frames.is_empty() {
                return if self.fail { Err("cable") } else { Ok(None) };
            }
            self.current = self.frames.remove(0);
            Ok(Some(Frame {
                pixels: &self.current,
                label: None,
            }))
        }
    }

    #[derive(Default)]
    struct Counter(u64);

    impl Clock for Counter {
        fn instructions(&mut self) -> u64 {
            self.0 += 10;
            self.0
        }
    }

    fn lines(
        frames: Vec<Vec<u8>>,
        fail: bool,
        arena: usize,
    ) -> (Result<usize, AppError<&'static str>>, Vec<String>) {
        let bytes = model();
        let model = Model::parse(&bytes).unwrap();
        let mut seen = Vec::new();
        let mut camera = Mock {
            frames,
            fail,
            current: Vec::new(),
        };
        let mut arena = vec![0; arena];
        let result = run(
            &model,
            &mut arena,
            &mut camera,
            &mut Counter::default(),
            &mut |l| {
                seen.push(l.to_string());
            },
        );
        (result, seen)
    }

    #[test]
    fn every_frame_becomes_a_line() {
        let (result, lines) = lines(vec![vec![0, 0], vec![255, 200]], false, 64);
        assert_eq!(result, Ok(2));
        assert!(lines[0].starts_with("model bytes=") && lines[0].ends_with("classes=2"));
        assert!(
            lines[1].contains("index=0 label=-1 class=0"),
            "{}",
            lines[1]
        );
        assert!(
            lines[2].contains("index=1 label=-1 class=1"),
            "{}",
            lines[2]
        );
        // One reading before, one at the layer, one after.
        assert!(lines[1].contains("instructions=20"), "{}", lines[1]);
    }

    #[test]
    fn failures_are_passed_on_with_their_reason() {
        let frame = FrameError::WrongSize { needed: 2, got: 3 };
        assert_eq!(
            lines(vec![vec![0; 3]], false, 64).0,
            Err(AppError::Frame(frame))
        );
        assert_eq!(lines(vec![], true, 64).0, Err(AppError::Camera("cable")));
        assert!(matches!(lines(vec![], false, 1).0, Err(AppError::Arena(_))));
    }
}
