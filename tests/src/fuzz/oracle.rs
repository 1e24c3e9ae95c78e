//! Runs a model that the parser accepts in two ways, between guard bytes, and compares every byte of
//! every layer with the reference.

use std::collections::VecDeque;
use std::ops::Range;

use pupil_core::error::ModelError;
use pupil_core::interpreter::{Interpreter, Step};
use pupil_core::model::{Layer, Model};
use pupil_core::observer::Observer;
use pupil_core::op::Operator;
use pupil_firmware::cases::Trace;

use super::file::File;
use super::reference;
use crate::cases::Random;

/// Guard bytes on either side of the arena.
const GUARD: usize = 256;

/// Models above these limits are only parsed.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of the arena.
    pub arena: usize,
    /// Multiply-accumulates of the reference.
    pub work: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            arena: 1 << 18,
            work: 200_000,
        }
    }
}

/// What became of a model.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// The parser refuses it.
    Refused(ModelError),
    /// Accepted, and larger than the limits.
    Skipped,
    /// Accepted, and every byte is right.
    Right(Answer),
}

/// What a run gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The frame.
    pub frame: Vec<u8>,
    /// The scores.
    pub scores: Vec<i8>,
    /// Hash of all layers' outputs in the order of the run.
    pub trace: u32,
    /// Steps of the interpreter.
    pub steps: usize,
}

/// A random frame for a model.
fn frame(model: &Model<'_>, random: &mut Random) -> Vec<u8> {
    let len = model.input().shape.len();
    match random.below(8) {
        0 => vec![random.of(&[0, 255, 128]); len],
        1 => (0..len).map(|_| random.of(&[0, 255])).collect(),
        _ => random.bytes(len),
    }
}

/// Judges a model.
///
/// # Errors
/// What is wrong: a byte that differs, a guard byte that has changed, a run that does not end.
pub fn judge(bytes: &[u8], random: &mut Random, limits: Limits) -> Result<Verdict, String> {
    // Exactly sized, so that AddressSanitizer notices reads past the end.
    let bytes: Box<[u8]> = bytes.into();
    let model = match Model::parse(&bytes) {
        Ok(model) => model,
        Err(error) => return Ok(Verdict::Refused(error)),
    };
    if model.arena_len() > limits.arena || reference::work(&model) > limits.work {
        return Ok(Verdict::Skipped);
    }
    let frame = frame(&model, random);
    let tensors = reference::tensors(&model, &frame);
    let mut watch = Compare::new(&model, &bytes, &tensors);
    let mut exact = vec![0x55; model.arena_len()].into_boxed_slice();
    let mut interpreter = Interpreter::new(&model, &mut exact).map_err(|e| e.to_string())?;
    let scores = interpreter.classify(&frame, &mut watch);
    let scores = scores.map_err(|e| e.to_string())?.to_vec();
    watch.finish(&scores)?;
    let (trace, steps) = (watch.trace.hash(), watch.steps);

    // Again by steps, with other initial contents of the arena and guards around it.
    let fill = 0x2a;
    let mut guarded = vec![fill; model.arena_len() + 2 * GUARD];
    let arena = &mut guarded[GUARD..][..model.arena_len()];
    arena.fill(-0x33);
    let mut again = Trace::default();
    let second = by_steps(&model, arena, &frame, random, &mut again, 4 * steps + 4)?;
    if second != scores {
        return Err("two runs differ: something reads uninitialized memory".into());
    }
    if again.hash() != trace {
        return Err("layers of two runs differ: something reads uninitialized memory".into());
    }
    let (before, rest) = guarded.split_at(GUARD);
    if let Some(at) = before.iter().position(|b| *b != fill) {
        return Err(format!(
            "a byte {} before the arena has changed",
            GUARD - at
        ));
    }
    if let Some(at) = rest[model.arena_len()..].iter().position(|b| *b != fill) {
        return Err(format!("byte {at} past the arena has changed"));
    }
    Ok(Verdict::Right(Answer {
        frame,
        scores,
        trace,
        steps,
    }))
}

/// Step by step, with rows of the frame in portions of random size.
fn by_steps(
    model: &Model<'_>,
    arena: &mut [i8],
    frame: &[u8],
    random: &mut Random,
    observer: &mut impl Observer,
    most: usize,
) -> Result<Vec<i8>, String> {
    let mut interpreter = Interpreter::new(model, arena).map_err(|e| e.to_string())?;
    let row = frame.len() / model.input().shape.h.max(1);
    let mut rest = frame;
    if model.reads_rows() {
        interpreter.begin();
    } else {
        interpreter.load(frame).map_err(|e| e.to_string())?;
    }
    // Small portions of rows take more steps.
    for _ in 0..most + frame.len() {
        match interpreter.step(observer) {
            Step::Ran(_) => {}
            Step::NotRun(layer) => return Err(format!("layer {layer} did not run")),
            Step::Done => return Ok(interpreter.scores().to_vec()),
            Step::NeedsRows(n) => {
                let portion = (row * (1 + random.below(n))).min(rest.len());
                let left = interpreter.feed(&rest[..portion]);
                rest = &rest[portion - left.len()..];
                if left.len() == portion {
                    return Err("the model asks for rows past the frame's last".into());
                }
            }
        }
    }
    Err(format!("the run does not end in {most} steps"))
}

/// Compares every output, or every row of it, with the reference.
struct Compare<'t> {
    tensors: &'t [Vec<i8>],
    /// Bytes of each tensor's rows, and how many rows it has.
    rows: Vec<(usize, usize)>,
    /// Layers of the streams that have not ended, and rows that their last layer makes at a time.
    streams: VecDeque<(Range<usize>, usize)>,
    /// The next layer that has not run, where no stream does.
    next: usize,
    /// Bands of the stream's last layer so far, and rows of each layer in this stream.
    bands: usize,
    made: Vec<usize>,
    first: Option<String>,
    trace: Trace,
    steps: usize,
}

impl<'t> Compare<'t> {
    fn new(model: &Model<'_>, bytes: &[u8], tensors: &'t [Vec<i8>]) -> Self {
        let shapes = (0..model.tensor_count()).map(|t| model.tensor(t).shape);
        let streams = File::read(bytes).map_or(vec![], |f| f.streams);
        let streams = streams.iter().map(|s| {
            let band = s.links.last().map_or(1, |l| l.band);
            let [at, end] = s.layers.map(usize::from);
            (at..end, usize::from(band))
        });
        Self {
            tensors,
            rows: shapes.map(|s| (s.w * s.c, s.h)).collect(),
            streams: streams.collect(),
            next: 0,
            bands: 0,
            made: vec![0; model.layer_count()],
            first: None,
            trace: Trace::default(),
            steps: 0,
        }
    }

    fn compare(&mut self, index: usize, layer: &Layer<'_>, from: usize, output: &[i8]) {
        let expected = self.tensors[index + 1].get(from..from + output.len());
        if self.first.is_some() || expected == Some(output) {
            return;
        }
        let name = layer.operator.name();
        self.first = Some(match expected {
            None => format!(
                "layer {index} ({name}) writes {} bytes from {from}",
                output.len()
            ),
            Some(expected) => {
                let mut pairs = output.iter().zip(expected);
                let at = pairs.position(|(a, b)| a != b).unwrap_or(0);
                format!(
                    "layer {index} ({name}), byte {}: {}, the reference has {}",
                    from + at,
                    output[at],
                    expected[at]
                )
            }
        });
    }

    /// A band of rows of a stream; whether it is the stream's last one.
    fn band(&mut self, index: usize, layer: &Layer<'_>, output: &[i8], end: usize) -> bool {
        let (row, height) = self.rows[index + 1];
        if let Operator::Mean(p) = &layer.operator {
            // Complete with the last band, and nothing before.
            let band = self.streams.front().map_or(1, |s| s.1);
            self.bands += 1;
            let done = self.bands >= p.input.h.div_ceil(band.max(1));
            if done {
                self.compare(index, layer, 0, output);
            }
            return done;
        }
        let from = self.made[index] * row;
        self.compare(index, layer, from, output);
        self.made[index] += output.len() / row.max(1);
        index + 1 == end && self.made[index] >= height
    }

    fn finish(&self, scores: &[i8]) -> Result<(), String> {
        if let Some(first) = &self.first {
            return Err(first.clone());
        }
        if self.next != self.made.len() {
            return Err(format!("the run ends before layer {}", self.next));
        }
        match self.tensors.last() {
            Some(expected) if expected == scores => Ok(()),
            _ => Err("the scores differ, the layers' outputs did not".into()),
        }
    }
}

impl Observer for Compare<'_> {
    fn after(&mut self, index: usize, layer: &Layer<'_>, output: &[i8]) {
        self.steps += 1;
        self.trace.after(index, layer, output);
        let stream = self.streams.front().map(|s| s.0.clone());
        match stream.filter(|layers| layers.start == self.next) {
            Some(layers) => {
                if self.band(index, layer, output, layers.end) {
                    self.streams.pop_front();
                    (self.next, self.bands) = (layers.end, 0);
                    self.made.fill(0);
                }
            }
            None => {
                self.compare(index, layer, 0, output);
                self.next += 1;
            }
        }
    }
}
