//! What [`Model::parse`](super::Model::parse) checks behind the header: tables, labels, every
//! layer, and that no layer destroys a tensor that is still needed.

use super::bytes::{part, u8_at, u16_at, u32_at};
use super::header::{HEADER_BYTES, LAYER_BYTES, Model, PixelFormat, TENSOR_BYTES};
use super::layer::Layer;
use crate::error::ModelError;

/// Checks everything but magic, version, length and checksum.
pub(super) fn check(model: &Model<'_>) -> Result<(), ModelError> {
    tables(model)?;
    labels(model)?;
    for i in 0..model.tensor_count() {
        let tensor = model.tensor(i);
        let scale = tensor.affine.scale;
        let end = (tensor.offset as u64).saturating_add(volume(model, i));
        if volume(model, i) == 0
            || end > model.arena_len() as u64
            || !(scale > 0.0 && scale.is_finite())
        {
            return Err(ModelError::Tensor { tensor: i as u16 });
        }
    }
    let format = PixelFormat::from_code(u8_at(model.bytes, 20));
    let channels = model.input().shape.c;
    if format.is_none_or(|f| f.channels().is_some_and(|c| c != channels)) {
        return Err(ModelError::Header { offset: 20 });
    }
    for i in 0..model.layer_count() {
        Layer::decode(model, i, true)?;
    }
    if volume(model, model.layer_count()) != model.class_count() as u64 {
        return Err(ModelError::Header { offset: 16 });
    }
    overlaps(model)
}

/// Values of tensor `i`; its sides are u16, so the product fits.
fn volume(model: &Model<'_>, i: usize) -> u64 {
    let s = model.tensor(i).shape;
    s.h as u64 * s.w as u64 * s.c as u64
}

/// The sections follow one another inside the file, aligned for their readers.
fn tables(model: &Model<'_>) -> Result<(), ModelError> {
    let at = |offset: usize| u32_at(model.bytes, offset) as usize;
    let header = |offset: u16| ModelError::Header { offset };
    if usize::from(u16_at(model.bytes, 6)) != HEADER_BYTES {
        return Err(header(6));
    }
    if model.class_count() == 0 {
        return Err(header(16));
    }
    if model.layer_count() == 0 || model.layer_count() > usize::from(u16::MAX) - 2 {
        return Err(header(18));
    }
    if at(24) < HEADER_BYTES || at(24) > model.bytes.len() {
        return Err(header(24));
    }
    if part(model.bytes, at(28), model.tensor_count() * TENSOR_BYTES).is_none() || at(28) % 4 != 0 {
        return Err(header(28));
    }
    if part(model.bytes, at(32), model.layer_count() * LAYER_BYTES).is_none() || at(32) % 4 != 0 {
        return Err(header(32));
    }
    if at(36) > model.bytes.len() || at(36) % 16 != 0 {
        return Err(header(36));
    }
    Ok(())
}

fn labels(model: &Model<'_>) -> Result<(), ModelError> {
    let mut at = u32_at(model.bytes, 24) as usize;
    for class in 0..model.class_count() {
        let len = usize::from(u8_at(model.bytes, at));
        let text = part(model.bytes, at + 1, len).map(core::str::from_utf8);
        if !matches!(text, Some(Ok(_))) {
            return Err(ModelError::Label {
                class: class as u16,
            });
        }
        at += 1 + len;
    }
    Ok(())
}

/// For each tensor: no layer up to its last reader writes or has scratch memory on it, but for that last reader where
/// the operator works in place on exactly this tensor.
fn overlaps(model: &Model<'_>) -> Result<(), ModelError> {
    let layers = model.layer_count();
    for t in 0..model.tensor_count() {
        let (tensor, last) = (model.tensor(t), last_reader(model, t));
        // Tensor t is whole from layer t on (layer t − 1 writes it).
        for i in t..=last.min(layers - 1) {
            let out = model.tensor(i + 1);
            let apart =
                out.range().end <= tensor.range().start || tensor.range().end <= out.range().start;
            if apart {
                continue;
            }
            let in_place = i == last
                && out.offset == tensor.offset
                && out.shape == tensor.shape
                && model.layer(i).is_some_and(|layer| {
                    let first = layer.input == t && layer.operator.works_in_place(0);
                    let second = layer.second == Some(t) && layer.operator.works_in_place(1);
                    first || second
                });
            if !in_place {
                return Err(ModelError::Overlap {
                    layer: i as u16,
                    tensor: t as u16,
                });
            }
        }
        // Scratch memory keeps off whatever lives while its layer runs.
        let place = tensor.range();
        for i in t.saturating_sub(1)..=last.min(layers - 1) {
            let scratch = model.layer(i).map_or(0..0, |layer| layer.scratch_range());
            let apart =
                scratch.is_empty() || scratch.end <= place.start || place.end <= scratch.start;
            if !apart {
                return Err(ModelError::Overlap {
                    layer: i as u16,
                    tensor: t as u16,
                });
            }
        }
    }
    Ok(())
}

/// Index of the last layer that reads tensor `t`; the layer count for the model's output.
fn last_reader(model: &Model<'_>, t: usize) -> usize {
    if t == model.layer_count() {
        return t;
    }
    let reads = |i: &usize| {
        model
            .record(*i)
            .is_some_and(|r| usize::from(u16_at(r, 2)) == t || usize::from(u16_at(r, 4)) == t)
    };
    // A tensor that nobody reads lives while its writer runs.
    (t..model.layer_count())
        .rev()
        .find(reads)
        .unwrap_or(t.saturating_sub(1))
}
