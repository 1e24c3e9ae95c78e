//! The application: every frame of a camera through the model, one decision and one line each.
//!
//! Layers run one [`step`](Interpreter::step) at a time, with the clock read in between. Put what
//! must not wait for a whole inference there: a watchdog, a button, a radio.

use pupil_core::error::{ArenaError, FrameError};
use pupil_core::interpreter::{Interpreter, Step};
use pupil_core::kernels::{Every, Operators};
use pupil_core::model::Model;

use crate::camera::{Camera, Frame};
use crate::clock::Clock;
use crate::decision::{Decider, Policy, Verdict};
use crate::protocol::{Output, Record, Scores, hash};

/// Why the application stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppError<E> {
    /// Arena, model and program do not fit one another.
    Arena(ArenaError),
    /// The camera's frames have another size than the model reads.
    FrameLen {
        /// Bytes that the model reads.
        needed: usize,
        /// Bytes that the camera gives.
        got: usize,
    },
    /// The interpreter refuses a frame.
    Frame(FrameError),
    /// The camera failed.
    Camera(E),
}

impl<E> AppError<E> {
    /// The word of the protocol's `error` line.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Arena(ArenaError::ArenaTooSmall { .. }) => "arena-too-small",
            Self::Arena(ArenaError::OperatorMissing { .. }) => "operator-missing",
            Self::Arena(_) => "arena",
            Self::Frame(FrameError::NotRun { .. }) => "layer-not-run",
            Self::FrameLen { .. } | Self::Frame(_) => "frame-size",
            Self::Camera(_) => "camera",
        }
    }
}

/// What one frame has led to.
#[derive(Debug)]
pub struct Classified<'a> {
    /// Counted from 0.
    pub index: usize,
    /// True class, where the camera knows it.
    pub label: Option<u16>,
    /// Best class and what to do.
    pub verdict: Verdict,
    /// Ticks of the inference alone.
    pub ticks: u64,
    /// The model's output.
    pub scores: &'a [i8],
}

impl<'a> Classified<'a> {
    /// Its line in the protocol.
    pub fn record(&self) -> Record<'a> {
        Record::Image {
            index: self.index,
            label: self.label,
            verdict: self.verdict,
            ticks: self.ticks,
            scores: Scores::Bytes(self.scores),
        }
    }
}

/// A model at work on a camera. `O` is the set of operators that the program links.
#[derive(Debug)]
pub struct App<'m, 'a, C, K, O = Every> {
    interpreter: Interpreter<'m, 'a, O>,
    camera: C,
    clock: K,
    decider: Decider,
    index: usize,
}

impl<'m, 'a, C: Camera, K: Clock> App<'m, 'a, C, K> {
    /// Puts model, arena and camera together, with all operators.
    ///
    /// # Errors
    /// As [`App::with_operators`].
    pub fn new(
        model: &Model<'m>,
        arena: &'a mut [i8],
        camera: C,
        clock: K,
        policy: Policy,
    ) -> Result<Self, AppError<C::Error>> {
        Self::with_operators(model, arena, camera, clock, policy)
    }
}

impl<'m, 'a, C: Camera, K: Clock, O: Operators> App<'m, 'a, C, K, O> {
    /// Puts model, arena and camera together and checks that they fit.
    ///
    /// # Errors
    /// An arena that is too small, an operator that is not linked, or a camera with other frames
    /// than the model reads.
    pub fn with_operators(
        model: &Model<'m>,
        arena: &'a mut [i8],
        camera: C,
        clock: K,
        policy: Policy,
    ) -> Result<Self, AppError<C::Error>> {
        let (needed, got) = (model.input().shape.len(), camera.frame_len());
        if needed != got {
            return Err(AppError::FrameLen { needed, got });
        }
        let interpreter = Interpreter::with_operators(model, arena).map_err(AppError::Arena)?;
        Ok(Self {
            interpreter,
            camera,
            clock,
            decider: Decider::new(policy),
            index: 0,
        })
    }

    /// Captures, runs and decides; none when the camera has no more frames.
    ///
    /// # Errors
    /// The camera's, and a frame of another size than it announced.
    pub fn classify_next(&mut self) -> Result<Option<Classified<'_>>, AppError<C::Error>> {
        let Some(Frame { pixels, label }) = self.camera.capture().map_err(AppError::Camera)? else {
            return Ok(None);
        };
        let needed = self.interpreter.model().input().shape.len();
        let mut rest = pixels;
        if !self.interpreter.model().reads_rows() {
            self.interpreter.load(pixels).map_err(AppError::Frame)?;
        } else if pixels.len() == needed {
            self.interpreter.begin();
        } else {
            let got = pixels.len();
            return Err(AppError::FrameLen { needed, got });
        }
        let start = self.clock.ticks();
        loop {
            match self.interpreter.step(&mut ()) {
                Step::Ran(_) => {}
                // A camera that delivers rows would be asked here.
                Step::NeedsRows(_) => rest = self.interpreter.feed(rest),
                Step::NotRun(layer) => return Err(AppError::Frame(FrameError::NotRun { layer })),
                Step::Done => break,
            }
            self.clock.ticks();
        }
        let ticks = self.clock.ticks().saturating_sub(start);
        let index = self.index;
        self.index += 1;
        let scores = self.interpreter.scores();
        let verdict = self.decider.update(scores);
        Ok(Some(Classified {
            index,
            label,
            verdict,
            ticks,
            scores,
        }))
    }

    /// Classifies all frames and prints a line for each; returns how many there were.
    ///
    /// # Errors
    /// As [`classify_next`](Self::classify_next).
    pub fn run(&mut self, output: &mut impl Output) -> Result<usize, AppError<C::Error>> {
        while let Some(found) = self.classify_next()? {
            found.record().print(output);
        }
        Ok(self.index)
    }
}

/// The record of a model.
pub fn describe(packed: &[u8], model: &Model<'_>) -> Record<'static> {
    Record::Model {
        hash: hash(packed),
        bytes: packed.len(),
        arena: model.arena_len(),
        classes: model.class_count(),
    }
}

#[cfg(test)]
mod tests;
