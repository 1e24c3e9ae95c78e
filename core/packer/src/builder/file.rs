//! The contents as they grow, and the memory plan at the end.

use super::layers::ModelBuilder;
use crate::contents::{BuildError, Tensor, pad};
use crate::layer::TensorId;
use crate::plan;
use pupil_core::model::format::NO_TENSOR;
use pupil_core::model::{LayerRecord, MAX_LAYERS};
use pupil_core::op::quant::Affine;
use pupil_core::op::shape::{Shape, Window};

impl ModelBuilder {
    /// Plans the memory of layers that run one by one, and writes the file.
    ///
    /// # Errors
    /// Whatever [`Model::parse`](pupil_core::model::Model::parse) says of the written bytes, or labels
    /// and sizes that the format can't hold.
    pub fn finish(self) -> Result<Vec<u8>, BuildError> {
        let layers = self.contents.layers.len();
        if layers > MAX_LAYERS {
            return Err(BuildError(format!(
                "{layers} layers, a packed model has {MAX_LAYERS} at most"
            )));
        }
        if layers == 0 {
            return Err(BuildError(String::from("a model without layers")));
        }
        self.contents.emit(&plan::layer_by_layer(&self.contents))
    }

    pub(super) fn record(
        &self,
        operator: u8,
        window: &Window,
        zero_point: i8,
        (min, max): (i8, i8),
    ) -> Result<LayerRecord, BuildError> {
        let sides = [
            window.kernel_h,
            window.kernel_w,
            window.stride_h,
            window.stride_w,
            window.pad_top,
            window.pad_left,
        ];
        let mut bytes = [0; 6];
        for (byte, side) in bytes.iter_mut().zip(sides) {
            *byte = u8::try_from(side)
                .map_err(|_| BuildError(format!("a window side of {side} exceeds 255")))?;
        }
        Ok(LayerRecord {
            operator,
            window: bytes,
            zero_point,
            min,
            max,
            ..LayerRecord::default()
        })
    }

    /// Appends bytes to the weights section, aligned to 16; where they lie.
    pub(super) fn section(&mut self, bytes: &[u8]) -> u32 {
        let weights = &mut self.contents.weights;
        pad(weights, 16);
        let at = weights.len() as u32;
        weights.extend(bytes);
        at
    }

    /// Appends numbers to the weights section; where they lie.
    pub(super) fn constants(&mut self, words: &[i32]) -> u32 {
        let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        self.section(&bytes)
    }

    pub(super) fn push(
        &mut self,
        record: LayerRecord,
        a: TensorId,
        b: Option<TensorId>,
        shape: Shape,
        affine: Affine,
    ) -> TensorId {
        let contents = &mut self.contents;
        contents.layers.push(LayerRecord {
            input: a.0 as u16,
            second: b.map_or(NO_TENSOR, |b| b.0 as u16),
            ..record
        });
        contents.tensors.push(Tensor { shape, affine });
        TensorId(contents.tensors.len() - 1)
    }
}
