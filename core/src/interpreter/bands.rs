//! Runs streams: layers that work together, a few rows at a time.

use super::{Interpreter, Step, apply};
use crate::kernels::arch::current::{mean_finish, mean_rows};
use crate::kernels::{OperatorSet, Operators};
use crate::model::Layer;
use crate::observer::Observer;
use crate::op::Operator;
use crate::stream::{FRAME, Link};
use core::ops::Range;

impl<O: Operators> Interpreter<'_, '_, O> {
    /// Begins the stream that runs in the place of the next layer, if there is one. False where one
    /// can't begin: no stream that the model's checks have let pass.
    pub(super) fn begin_stream(&mut self) -> bool {
        let record = self.model.stream_at(self.cursor);
        let Some(record) = record.filter(|r| r.at == self.next) else {
            return true;
        };
        if self.stream.begin(&self.model, &record).is_none() {
            return false;
        }
        self.end = record.end;
        (self.cursor, self.streaming) = (record.next, true);
        let layer = |link: &Link| self.model.layer(usize::from(link.layer));
        for k in 0..self.stream.links().len() {
            let link = self.stream.link(k);
            match layer(link).map(|layer| layer.operator) {
                // Rows above the image.
                Some(Operator::Depthwise(f)) => {
                    if let Some(owner) = self.stream.owner(k).map(|o| self.stream.link(o)) {
                        let rows = owner.base.unsigned_abs() as usize;
                        let (at, len) = (owner.at as usize, owner.row_len as usize);
                        let Some(rows) = self.arena.get_mut(at..at + rows * len) else {
                            return false;
                        };
                        rows.fill(f.input_zero_point as i8);
                    }
                }
                Some(Operator::Mean(_)) if O::SET.has(OperatorSet::STREAM_MEAN) => {
                    let Some(sums) = self.arena.get_mut(self.stream.sums()) else {
                        return false;
                    };
                    sums.fill(0);
                }
                _ => {}
            }
        }
        true
    }

    /// One turn of the stream: a layer makes a band of rows.
    #[inline(never)] // `cargo xtask test size` looks for it
    pub(super) fn turn(&mut self, observer: &mut impl Observer) -> Step {
        let Some((k, n)) = self.stream.next() else {
            return self.end_stream(self.end);
        };
        let link = *self.stream.link(k);
        if link.layer == FRAME {
            return Step::NeedsRows(n);
        }
        let index = usize::from(link.layer);
        let Some(layer) = self.model.layer(index) else {
            return self.end_stream(self.end);
        };
        observer.before(index, &layer);
        self.make_room(k, n);
        let Some(output) = self.make(k, n, &layer) else {
            debug_assert!(false, "layer {index} did not run");
            return Step::NotRun(index);
        };
        self.stream.made(k, n);
        observer.after(index, &layer, self.arena.get(output).unwrap_or(&[]));
        if self.stream.is_done() {
            return self.end_stream(index);
        }
        Step::Ran(index)
    }

    fn end_stream(&mut self, index: usize) -> Step {
        (self.next, self.streaming) = (self.end, false);
        if self.next < self.model.layer_count() {
            Step::Ran(index)
        } else {
            Step::Done
        }
    }

    /// Moves rows where `n` more of link `k` would find no room.
    pub(super) fn make_room(&mut self, k: usize, n: usize) {
        if let Some(shift) = self.stream.room(k, n)
            && shift.from + shift.len <= self.arena.len()
            && shift.to < shift.from
        {
            let from = shift.from..shift.from + shift.len;
            self.arena.copy_within(from, shift.to);
        }
    }

    /// Bytes of the rows `from..to` of what a link reads: another link's output, or a tensor.
    fn rows(&self, source: Option<usize>, tensor: usize, from: i32, to: i32) -> Range<usize> {
        let rows = (to - from).max(0) as usize;
        let (at, len) = match source {
            Some(j) => {
                let link = self.stream.link(j);
                (self.stream.address(j, from), link.row_len as usize)
            }
            None => {
                let tensor = self.model.tensor(tensor);
                let len = tensor.shape.w * tensor.shape.c;
                (tensor.offset + from.max(0) as usize * len, len)
            }
        };
        at..at + rows * len
    }

    /// Computes `n` rows of link `k`; where they lie, or none if the kernel did not run.
    fn make(&mut self, k: usize, n: usize, layer: &Layer<'_>) -> Option<Range<usize>> {
        let (first, end) = (self.stream.first(k), self.stream.end(k, n));
        let [source, other] = self.stream.sources(k);
        let base = source.map_or(0, |j| self.stream.link(j).base);
        let from = first.max(base);
        let input = self.rows(source, layer.input, from, end);
        let link = *self.stream.link(k);
        let made = i32::from(link.made);
        if let Operator::Mean(p) = &layer.operator {
            if !O::SET.has(OperatorSet::STREAM_MEAN) {
                return None;
            }
            let (sums, output) = (self.stream.sums(), self.model.tensor(layer.output).range());
            let parts = self.arena.get_disjoint_mut([input, sums.clone()]);
            let mut ran = parts.is_ok_and(|[x, sums]| mean_rows(p, x, sums));
            if made + n as i32 == i32::from(link.rows) {
                let parts = self.arena.get_disjoint_mut([sums, output.clone()]);
                ran &= parts.is_ok_and(|[sums, y]| mean_finish(p, sums, y));
            }
            return ran.then_some(output);
        }
        let second = layer.second.map(|t| match layer.operator {
            Operator::Add(_) => self.rows(other, t, made, made + n as i32),
            _ => self.model.tensor(t).range(),
        });
        let at = self.stream.address(k, made);
        let output = at..at + n * link.row_len as usize;
        let rows = (end - from).max(0) as usize;
        let operator = layer.operator.band(rows, n, (from - first).max(0) as usize);
        let (range, scratch) = (output.clone(), layer.scratch_range());
        apply::<O>(self.arena, &operator, input, second, range, scratch).then_some(output)
    }
}
