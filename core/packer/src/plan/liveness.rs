//! Which layers read a tensor, whom an output may replace, and so how long each tensor lives.

use pupil_core::model::format::code;
use pupil_core::model::{LayerRecord, Model};
use pupil_core::op::shape::Shape;

use crate::contents::{Contents, in_place};

/// Reads and writes of a model's layers.
pub struct Liveness {
    /// Of each tensor.
    shapes: Vec<Shape>,
    records: Vec<LayerRecord>,
    /// Layers that read each tensor, in order.
    readers: Vec<Vec<usize>>,
}

impl Liveness {
    /// Of a model that is not written yet.
    pub fn of(contents: &Contents) -> Self {
        let shapes = contents.tensors.iter().map(|t| t.shape);
        Self::new(shapes.collect(), contents.layers.clone())
    }

    /// Of a packed model; its weights are not looked at.
    pub fn of_model(model: &Model<'_>) -> Self {
        let shapes = (0..model.tensor_count()).map(|t| model.tensor(t).shape);
        let records = (0..model.layer_count()).filter_map(|i| model.record(i));
        Self::new(shapes.collect(), records.collect())
    }

    fn new(shapes: Vec<Shape>, records: Vec<LayerRecord>) -> Self {
        let mut readers = vec![Vec::new(); shapes.len()];
        for (i, record) in records.iter().enumerate() {
            let [first, second] = record.inputs();
            let second = second.filter(|t| Some(*t) != first);
            for tensor in first.into_iter().chain(second) {
                readers[tensor].push(i);
            }
        }
        Self {
            shapes,
            records,
            readers,
        }
    }

    /// Number of layers.
    pub fn layers(&self) -> usize {
        self.records.len()
    }

    /// Dimensions of a tensor.
    pub fn shape(&self, tensor: usize) -> Shape {
        self.shapes[tensor]
    }

    /// Layers that read a tensor, in order.
    pub fn readers(&self, tensor: usize) -> &[usize] {
        &self.readers[tensor]
    }

    /// Whether a layer reads a tensor.
    pub fn reads(&self, layer: usize, tensor: usize) -> bool {
        self.records[layer].inputs().contains(&Some(tensor))
    }

    /// Whether a layer is a mean, which keeps sums instead of rows.
    pub fn is_mean(&self, layer: usize) -> bool {
        self.records[layer].operator == code::MEAN
    }

    /// Bytes of a layer's scratch memory.
    pub fn scratch(&self, layer: usize) -> usize {
        self.records[layer].scratch_len as usize
    }

    /// Last layer that reads a tensor; the layer that writes it where none does, the number of
    /// layers for the scores.
    pub fn last_reader(&self, tensor: usize) -> usize {
        if tensor == self.layers() {
            return tensor;
        }
        let writer = tensor.saturating_sub(1);
        self.readers[tensor].last().copied().unwrap_or(writer)
    }

    /// The input whose place a layer's output takes: one of its shape that no later layer reads, the
    /// first one where both are.
    pub fn replaced(&self, layer: usize) -> Option<usize> {
        let record = &self.records[layer];
        let ([first, second], takes) = (record.inputs(), in_place(record));
        let free = |tensor: usize| {
            // A layer that reads it twice must be able to lose both.
            (first != Some(tensor) || takes[0])
                && (second != Some(tensor) || takes[1])
                && self.shape(tensor) == self.shape(layer + 1)
                && self.last_reader(tensor) == layer
        };
        let inputs = [first, second].into_iter().flatten();
        inputs.into_iter().find(|t| free(*t))
    }
}
