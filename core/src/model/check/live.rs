//! That no layer destroys a tensor that is still needed.
//!
//! One pass from the last layer to the first. A whole tensor begins to live, in this direction, at the
//! last layer that reads it, and ends at the layer that writes it. Whatever a layer writes keeps off all
//! tensors that live while it runs, but for an input that ends there and whose place the operator may
//! take, value by value. A stream counts as one layer that has line buffers, too.
//!
//! Time: a look at each living tensor a layer, [`MAX_LIVE`] at most.

use super::memory::{apart, inputs, scratch};
use super::streams;
use crate::error::ModelError;
use crate::model::format::MAX_LIVE;
use crate::model::header::Model;
use crate::model::layer::Layer;
use crate::model::stream::{StreamIndex, StreamRecord};
use core::ops::Range;

/// Tensors that live while a layer or stream runs.
struct Live<'m, 'a> {
    model: &'m Model<'a>,
    tensors: [u16; MAX_LIVE],
    len: usize,
    /// How many of them are needed behind this layer or stream; the others end there.
    later: usize,
}

/// See above.
#[inline(never)] // its memory is not the stack's for long
pub(super) fn check(model: &Model<'_>, index: &StreamIndex) -> Result<(), ModelError> {
    let mut live = Live {
        model,
        tensors: [0; MAX_LIVE],
        len: 0,
        later: 0,
    };
    let (mut layer, mut count) = (model.layer_count(), index.len());
    while layer > 0 {
        live.later = live.len;
        let last = count.checked_sub(1).and_then(|k| index.get(model, k));
        if let Some(stream) = last.filter(|s| s.end == layer) {
            live.stream(index, &stream)?;
            (layer, count) = (stream.at, count - 1);
        } else {
            layer -= 1;
            live.layer(layer)?;
        }
    }
    Ok(())
}

fn overlap(layer: usize, tensor: usize) -> ModelError {
    ModelError::Overlap {
        layer: layer as u16,
        tensor: tensor as u16,
    }
}

impl Live<'_, '_> {
    /// Living tensors, and whether each is needed behind this layer or stream.
    fn tensors(&self) -> impl Iterator<Item = (usize, bool)> + '_ {
        let living = self.tensors.iter().take(self.len).enumerate();
        living.map(|(i, t)| (usize::from(*t), i < self.later))
    }

    /// `layer` reads `tensor`.
    fn add(&mut self, tensor: usize, layer: usize) -> Result<(), ModelError> {
        if self.tensors().any(|(t, _)| t == tensor) {
            return Ok(());
        }
        let full = ModelError::TooManyLive {
            layer: layer as u16,
            most: MAX_LIVE as u16,
        };
        *self.tensors.get_mut(self.len).ok_or(full)? = tensor as u16;
        self.len += 1;
        Ok(())
    }

    /// `tensor` is written here: before, it does not live.
    fn remove(&mut self, tensor: usize) {
        let mut kept = 0;
        for i in 0..self.len {
            if usize::from(self.tensors[i]) != tensor {
                self.tensors[kept] = self.tensors[i];
                kept += 1;
            }
        }
        self.len = kept;
    }

    /// A layer that runs alone.
    fn layer(&mut self, i: usize) -> Result<(), ModelError> {
        for tensor in inputs(self.model, i).into_iter().flatten() {
            self.add(tensor, i)?;
        }
        let (out, scratch) = (self.model.tensor(i + 1), scratch(self.model, i));
        if !apart(&scratch, &out.range()) {
            return Err(overlap(i, i + 1));
        }
        for (t, later) in self.tensors().filter(|(t, _)| *t != i + 1) {
            let tensor = self.model.tensor(t);
            if !apart(&scratch, &tensor.range()) {
                return Err(overlap(i, t));
            }
            if apart(&out.range(), &tensor.range()) {
                continue;
            }
            let takes = |layer: Layer<'_>| layer.may_replace(t);
            let one = out.offset == tensor.offset && out.shape == tensor.shape;
            if later || !one || !self.model.layer(i).is_some_and(takes) {
                return Err(overlap(i, t));
            }
        }
        self.remove(i + 1);
        Ok(())
    }

    /// A stream. Its output may lie on a tensor that ends here: `streams::turns` looks at that.
    fn stream(&mut self, index: &StreamIndex, stream: &StreamRecord<'_>) -> Result<(), ModelError> {
        for link in stream.links() {
            let inputs = inputs(self.model, link.layer);
            for tensor in inputs.into_iter().flatten() {
                if !index.is_streamed(tensor) {
                    self.add(tensor, stream.at)?;
                }
            }
        }
        let output = self.model.tensor(stream.end).range();
        for (k, link) in stream.links().enumerate() {
            let frame = usize::from(stream.frame_rows > 0);
            let kept = streams::place(self.model, stream, k + frame);
            self.keeps_off(&kept, &output, stream, link.layer)?;
            self.keeps_off(
                &scratch(self.model, link.layer),
                &output,
                stream,
                link.layer,
            )?;
        }
        if stream.frame_rows > 0 {
            let frame = streams::place(self.model, stream, 0);
            self.keeps_off(&frame, &output, stream, stream.at)?;
        }
        for (t, later) in self.tensors().filter(|(t, _)| *t != stream.end) {
            if later && !apart(&output, &self.model.tensor(t).range()) {
                return Err(overlap(stream.end - 1, t));
            }
        }
        self.remove(stream.end);
        Ok(())
    }

    /// That memory of `layer` in a stream keeps off the stream's output and all living tensors.
    fn keeps_off(
        &self,
        memory: &Range<usize>,
        output: &Range<usize>,
        stream: &StreamRecord<'_>,
        layer: usize,
    ) -> Result<(), ModelError> {
        if !apart(memory, output) {
            return Err(overlap(layer, stream.end));
        }
        let hit = self
            .tensors()
            .find(|(t, _)| !apart(memory, &self.model.tensor(*t).range()));
        hit.map_or(Ok(()), |(t, _)| Err(overlap(layer, t)))
    }
}
