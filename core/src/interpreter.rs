//! Runs a packed model in an arena.

use crate::error::{ArenaError, FrameError};
use crate::kernels::{self, Every, OperatorSet, Operators};
use crate::model::{Layer, Model, Operator, TensorInfo};
use crate::observer::Observer;
use core::marker::PhantomData;

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
    /// This layer has run; more follow.
    Ran(usize),
    /// The last layer has run: scores are ready.
    Done,
}

/// A model, an arena, and how far the current frame has come. Holds a few words beside them.
///
/// `O` is the set of operators whose kernels the program links; see
/// [`operators`](crate::kernels::operators).
#[derive(Debug)]
pub struct Interpreter<'m, 'a, O = Every> {
    model: Model<'m>,
    arena: &'a mut [i8],
    next: usize,
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
    /// # Errors
    /// An arena that is too small, with both sizes; on chips with DSP instructions, model bytes or
    /// an arena that do not begin at a multiple of 4; a model with an operator that is not in `O`.
    pub fn with_operators(model: &Model<'m>, arena: &'a mut [i8]) -> Result<Self, ArenaError> {
        let aligned = |at: usize| cfg!(not(arm_dsp)) || at.is_multiple_of(4);
        if !aligned(model.bytes().as_ptr().addr()) || !aligned(arena.as_ptr().addr()) {
            return Err(ArenaError::Misaligned);
        }
        if O::SET != OperatorSet::ALL {
            let linked = |layer: &Layer<'_>| O::SET.has(OperatorSet::of(&layer.operator));
            if let Some(layer) = model.layers().position(|layer| !linked(&layer)) {
                return Err(ArenaError::OperatorMissing { layer });
            }
        }
        let (needed, got) = (model.arena_len(), arena.len());
        match arena.get_mut(..needed) {
            Some(arena) => Ok(Self {
                model: *model,
                arena,
                next: 0,
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
    /// A frame of another size; the state is unchanged.
    pub fn load(&mut self, frame: &[u8]) -> Result<(), FrameError> {
        let input = self.model.tensor(0);
        let (needed, got) = (input.shape.len(), frame.len());
        if needed != got {
            return Err(FrameError::WrongSize { needed, got });
        }
        for (q, pixel) in self.arena.iter_mut().skip(input.offset).zip(frame) {
            // pixel − 128 flips the upper bit.
            *q = (pixel ^ 0x80) as i8;
        }
        self.next = 0;
        Ok(())
    }

    /// The int8 input in the arena, for a camera that writes there itself (`pixel ^ 0x80`);
    /// starts over.
    pub fn input_mut(&mut self) -> &mut [i8] {
        self.next = 0;
        let range = self.model.tensor(0).range();
        self.arena.get_mut(range).unwrap_or(&mut [])
    }

    /// Runs all layers that remain and returns the scores, one int8 a class; after a softmax the
    /// probability is (score + 128) / 256. Every call needs a frame of its own: layers overwrite
    /// the input.
    pub fn run(&mut self, observer: &mut impl Observer) -> &[i8] {
        while self.step(observer) != Step::Done {}
        self.scores()
    }

    /// Runs one layer, for schedulers that must yield.
    pub fn step(&mut self, observer: &mut impl Observer) -> Step {
        let Some(layer) = self.model.layer(self.next) else {
            return Step::Done;
        };
        let index = self.next;
        observer.before(index, &layer);
        self.execute(&layer);
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

    fn execute(&mut self, layer: &Layer<'_>) {
        let tensor = |t: usize| self.model.tensor(t);
        let (input, output) = (tensor(layer.input), tensor(layer.output));
        let same = |t: &TensorInfo| t.offset == output.offset && t.shape == output.shape;
        // The model's checks allow a shared place only to operators that work in place.
        let operator = &layer.operator;
        // Empty scratch memory may lie anywhere.
        let scratch = match layer.scratch_range() {
            range if range.is_empty() => 0..0,
            range => range,
        };
        match layer.second.map(tensor) {
            None if same(&input) && operator.works_in_place(0) => {
                if let Ok([map, s]) = self.arena.get_disjoint_mut([output.range(), scratch]) {
                    kernels::run_in_place_linked::<O>(operator, 0, map, &[], s);
                }
            }
            None => {
                let ranges = [input.range(), output.range(), scratch];
                if let Ok([x, y, s]) = self.arena.get_disjoint_mut(ranges) {
                    kernels::run_linked::<O>(operator, x, &[], y, s);
                }
            }
            Some(second) => {
                let replaced = if same(&input) && operator.works_in_place(0) {
                    Some((0, second))
                } else if same(&second) && operator.works_in_place(1) {
                    Some((1, input))
                } else {
                    None
                };
                if let Some((replaced, other)) = replaced {
                    if layer.second == Some(layer.input) {
                        return self.execute_doubled(layer);
                    }
                    let ranges = [output.range(), other.range(), scratch];
                    if let Ok([map, other, s]) = self.arena.get_disjoint_mut(ranges) {
                        kernels::run_in_place_linked::<O>(operator, replaced, map, other, s);
                    }
                } else if layer.second == Some(layer.input) {
                    let ranges = [input.range(), output.range(), scratch];
                    if let Ok([x, y, s]) = self.arena.get_disjoint_mut(ranges) {
                        kernels::run_linked::<O>(operator, x, x, y, s);
                    }
                } else {
                    let ranges = [input.range(), second.range(), output.range(), scratch];
                    if let Ok([a, b, y, s]) = self.arena.get_disjoint_mut(ranges) {
                        kernels::run_linked::<O>(operator, a, b, y, s);
                    }
                }
            }
        }
    }

    /// x + x in place.
    fn execute_doubled(&mut self, layer: &Layer<'_>) {
        let range = self.model.tensor(layer.output).range();
        if let Operator::Add(p) = &layer.operator
            && O::SET.has_any(OperatorSet::ADD.with(OperatorSet::ADD_PLAIN))
        {
            kernels::add::add_doubled_linked::<O>(p, self.arena.get_mut(range).unwrap_or(&mut []));
        }
    }
}
