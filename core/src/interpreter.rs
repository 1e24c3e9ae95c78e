//! Runs a packed model in an arena.

mod bands;

use crate::error::{ArenaError, FrameError};
use crate::kernels::arch::current::WORD_ALIGNED;
use crate::kernels::{self, Every, Operands, OperatorSet, Operators};
use crate::model::{Layer, Model};
use crate::observer::Observer;
use crate::op::Operator;
use crate::stream::{FRAME, Stream};
use core::marker::PhantomData;
use core::ops::Range;

/// Where a model works: `N` bytes, aligned for every kernel. Usually a static.
#[repr(align(16))]
#[derive(Clone, Debug)]
pub struct Arena<const N: usize>(pub [i8; N]);

impl<const N: usize> Arena<N> {
    /// All zeros.
    pub const fn new() -> Self {
        Self([0; N])
    }
}

impl<const N: usize> Default for Arena<N> {
    fn default() -> Self {
        Self::new()
    }
}

/// What a [`Interpreter::step`] has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Step {
    /// This layer has run, or has made a few rows more; more follow.
    Ran(usize),
    /// The next layer waits for rows of the frame, this many: see [`Interpreter::feed`].
    NeedsRows(usize),
    /// The kernel of this layer did not run: see [`FrameError::NotRun`]. Nothing goes on from here.
    NotRun(usize),
    /// The last layer has run: scores are ready.
    Done,
}

/// A model, an arena, and how far the current frame has come. Holds half a KB beside them: how far
/// each layer of a stream is.
///
/// `O` is the set of operators whose kernels the program links; see
/// [`OperatorSet`].
#[derive(Debug)]
pub struct Interpreter<'m, 'a, O = Every> {
    model: Model<'m>,
    arena: &'a mut [i8],
    next: usize,
    /// The stream that runs, and one past its last layer.
    stream: Stream,
    streaming: bool,
    end: usize,
    /// Where the record of the next stream is.
    cursor: usize,
    operators: PhantomData<O>,
}

impl<'m, 'a> Interpreter<'m, 'a> {
    /// Works in the first [`Model::arena_len`] bytes of `arena`, with all operators.
    ///
    /// # Errors
    /// As [`Interpreter::with_operators`].
    pub fn new(model: &Model<'m>, arena: &'a mut [i8]) -> Result<Self, ArenaError> {
        Self::with_operators(model, arena)
    }
}

impl<'m, 'a, O: Operators> Interpreter<'m, 'a, O> {
    /// [`Interpreter::new`] with the operators `O`.
    ///
    /// The arena may begin anywhere. On chips with DSP instructions up to 3 bytes of it are passed
    /// over, so that the rest begins at a multiple of 4; an [`Arena`] does at its first byte.
    ///
    /// # Errors
    /// An arena that is too small, with both sizes; a model with an operator that is not in `O`.
    pub fn with_operators(model: &Model<'m>, arena: &'a mut [i8]) -> Result<Self, ArenaError> {
        if O::SET != OperatorSet::ALL {
            let linked = |layer: &Layer<'_>| O::SET.has(OperatorSet::of(&layer.operator));
            if let Some(layer) = model.layers().position(|layer| !linked(&layer)) {
                return Err(ArenaError::OperatorMissing { layer });
            }
            let streams = model.stream_operators();
            if !O::SET.has(streams) {
                let layer = model.stream_at(0).map_or(0, |s| s.at);
                return Err(ArenaError::OperatorMissing { layer });
            }
        }
        let skipped = if WORD_ALIGNED {
            arena.as_ptr().addr().wrapping_neg() % 4
        } else {
            0
        };
        let (needed, got) = (model.arena_len().saturating_add(skipped), arena.len());
        match arena.get_mut(skipped..needed) {
            Some(arena) => Ok(Self {
                model: *model,
                arena,
                next: 0,
                stream: Stream::default(),
                streaming: false,
                end: 0,
                cursor: 0,
                operators: PhantomData,
            }),
            None => Err(ArenaError::ArenaTooSmall { needed, got }),
        }
    }

    /// The model.
    pub fn model(&self) -> Model<'m> {
        self.model
    }

    /// Takes a frame of u8 pixels, row-major, channels interleaved, and starts over.
    ///
    /// # Errors
    /// A frame of another size, or a model that reads a frame row by row and has no room for all of
    /// it; the state is unchanged.
    pub fn load(&mut self, frame: &[u8]) -> Result<(), FrameError> {
        let input = self.model.tensor(0);
        if self.model.reads_rows() {
            return Err(FrameError::ByRows);
        }
        let (needed, got) = (input.shape.len(), frame.len());
        if needed != got {
            return Err(FrameError::WrongSize { needed, got });
        }
        for (q, pixel) in self.arena.iter_mut().skip(input.offset).zip(frame) {
            // pixel − 128 flips the upper bit.
            *q = (pixel ^ 0x80) as i8;
        }
        self.begin();
        Ok(())
    }

    /// Starts over, with the frame that is in the arena or, where the model reads rows, with none.
    pub fn begin(&mut self) {
        (self.next, self.cursor, self.streaming) = (0, 0, false);
    }

    /// The int8 input in the arena, for a camera that writes there itself (`pixel ^ 0x80`);
    /// starts over. Empty where the model reads rows.
    pub fn input_mut(&mut self) -> &mut [i8] {
        self.begin();
        let range = match self.model.reads_rows() {
            true => 0..0,
            false => self.model.tensor(0).range(),
        };
        self.arena.get_mut(range).unwrap_or(&mut [])
    }

    /// Takes the frame's next rows, as they come from a camera, into a model that
    /// [reads rows](Model::reads_rows): as many whole rows of `pixels` as [`Step::NeedsRows`] has
    /// asked for. Returns the pixels that are left, all of them where no rows are asked for.
    pub fn feed<'p>(&mut self, pixels: &'p [u8]) -> &'p [u8] {
        if !O::SET.has(OperatorSet::STREAM) || !self.model.reads_rows() {
            return pixels;
        }
        if !self.streaming && self.next == 0 && !self.begin_stream() {
            return pixels;
        }
        let Some((k, n)) = self.stream.next().filter(|_| self.streaming) else {
            return pixels;
        };
        let link = *self.stream.link(k);
        let len = link.row_len as usize;
        let rows = pixels.len().checked_div(len).unwrap_or(0).min(n);
        let Some((now, rest)) = pixels.split_at_checked(rows * len) else {
            return pixels;
        };
        if link.layer != FRAME || rows == 0 {
            return pixels;
        }
        self.make_room(k, rows);
        let at = self.stream.address(k, i32::from(link.made));
        for (q, pixel) in self.arena.iter_mut().skip(at).zip(now) {
            *q = (pixel ^ 0x80) as i8;
        }
        self.stream.made(k, rows);
        rest
    }

    /// Runs the model on a frame of u8 pixels that lies in memory, whether it reads the frame as a
    /// whole or row by row, and returns the scores.
    ///
    /// # Errors
    /// A frame of another size, and then the state is unchanged; see [`Interpreter::run`] for others.
    pub fn classify(
        &mut self,
        frame: &[u8],
        observer: &mut impl Observer,
    ) -> Result<&[i8], FrameError> {
        if !self.model.reads_rows() {
            self.load(frame)?;
            return self.run(observer);
        }
        let (needed, got) = (self.model.tensor(0).shape.len(), frame.len());
        if needed != got {
            return Err(FrameError::WrongSize { needed, got });
        }
        self.begin();
        let mut rest = frame;
        loop {
            match self.step(observer) {
                Step::Ran(_) => {}
                Step::NeedsRows(_) => rest = self.feed(rest),
                Step::NotRun(layer) => return Err(FrameError::NotRun { layer }),
                Step::Done => return Ok(self.scores()),
            }
        }
    }

    /// Runs all layers that remain and returns the scores, one int8 a class; after a softmax the
    /// probability is (score + 128) / 256. Every call needs a frame of its own: layers overwrite
    /// the input.
    ///
    /// # Errors
    /// Rows of the frame that are missing: call again after [`feed`](Interpreter::feed). A kernel that
    /// did not run.
    pub fn run(&mut self, observer: &mut impl Observer) -> Result<&[i8], FrameError> {
        loop {
            match self.step(observer) {
                Step::Ran(_) => {}
                Step::NeedsRows(rows) => return Err(FrameError::RowsMissing { rows }),
                Step::NotRun(layer) => return Err(FrameError::NotRun { layer }),
                Step::Done => return Ok(self.scores()),
            }
        }
    }

    /// Runs one layer, or one layer's next rows in a stream, for schedulers that must yield.
    pub fn step(&mut self, observer: &mut impl Observer) -> Step {
        if O::SET.has(OperatorSet::STREAM) && self.model.streams_len() > 0 {
            if !self.streaming && !self.begin_stream() {
                debug_assert!(false, "the stream at layer {} did not begin", self.next);
                return Step::NotRun(self.next);
            }
            if self.streaming {
                return self.turn(observer);
            }
        }
        let Some(layer) = self.model.layer(self.next) else {
            return Step::Done;
        };
        let index = self.next;
        observer.before(index, &layer);
        if !self.execute(&layer) {
            debug_assert!(false, "layer {index} did not run");
            return Step::NotRun(index);
        }
        let output = self.model.tensor(layer.output).range();
        observer.after(index, &layer, self.arena.get(output).unwrap_or(&[]));
        self.next += 1;
        if self.next < self.model.layer_count() {
            Step::Ran(index)
        } else {
            Step::Done
        }
    }

    /// The last layer's output; scores once all layers have run.
    pub fn scores(&self) -> &[i8] {
        let last = self.model.tensor(self.model.layer_count());
        self.arena.get(last.range()).unwrap_or(&[])
    }

    /// A layer on whole tensors: whether it ran.
    fn execute(&mut self, layer: &Layer<'_>) -> bool {
        let range = |t: usize| self.model.tensor(t).range();
        let (input, output) = (range(layer.input), range(layer.output));
        let (second, scratch) = (layer.second.map(range), layer.scratch_range());
        apply::<O>(self.arena, &layer.operator, input, second, output, scratch)
    }
}

/// Runs an operator on parts of the arena: whether it ran. The model's checks let an output begin where
/// an input does only for operators that work in place.
#[must_use]
fn apply<O: Operators>(
    arena: &mut [i8],
    operator: &Operator<'_>,
    input: Range<usize>,
    second: Option<Range<usize>>,
    output: Range<usize>,
    scratch: Range<usize>,
) -> bool {
    let same = |r: &Range<usize>| r.start == output.start;
    // Empty scratch memory may lie anywhere.
    let scratch = if scratch.is_empty() { 0..0 } else { scratch };
    match second {
        None if same(&input) && operator.works_in_place(0) => {
            let map = input.start..input.end.max(output.end);
            let parts = arena.get_disjoint_mut([map, scratch]);
            parts.is_ok_and(|[map, s]| {
                kernels::run_linked::<O>(operator, &mut Operands::in_place(0, map, &[], s))
            })
        }
        None => {
            let parts = arena.get_disjoint_mut([input, output, scratch]);
            parts.is_ok_and(|[x, y, s]| {
                kernels::run_linked::<O>(operator, &mut Operands::apart(x, &[], y, s))
            })
        }
        Some(second) => {
            let doubled = second == input;
            let replaced = if same(&input) && operator.works_in_place(0) {
                Some((0, second.clone()))
            } else if same(&second) && operator.works_in_place(1) {
                Some((1, input.clone()))
            } else {
                None
            };
            if let Some((replaced, other)) = replaced {
                if doubled {
                    return add_doubled::<O>(operator, arena.get_mut(output).unwrap_or(&mut []));
                }
                let parts = arena.get_disjoint_mut([output, other, scratch]);
                parts.is_ok_and(|[map, other, s]| {
                    kernels::run_linked::<O>(
                        operator,
                        &mut Operands::in_place(replaced, map, other, s),
                    )
                })
            } else if doubled {
                let parts = arena.get_disjoint_mut([input, output, scratch]);
                parts.is_ok_and(|[x, y, s]| {
                    kernels::run_linked::<O>(operator, &mut Operands::apart(x, x, y, s))
                })
            } else {
                let parts = arena.get_disjoint_mut([input, second, output, scratch]);
                parts.is_ok_and(|[a, b, y, s]| {
                    kernels::run_linked::<O>(operator, &mut Operands::apart(a, b, y, s))
                })
            }
        }
    }
}

/// x + x in place.
fn add_doubled<O: Operators>(operator: &Operator<'_>, map: &mut [i8]) -> bool {
    match operator {
        Operator::Add(_) if O::SET.has_any(OperatorSet::ADD.with(OperatorSet::ADD_PLAIN)) => {
            kernels::run_linked::<O>(operator, &mut Operands::doubled(map))
        }
        _ => false,
    }
}
