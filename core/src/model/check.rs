//! What [`Model::parse`](super::Model::parse) checks behind the header: tables, labels, every
//! layer, and that no layer destroys a tensor that is still needed (`live`).
//!
//! Every part is linear in the number of layers: a file of a few KB may not keep a chip busy.

mod live;
mod memory;
mod streams;

use self::memory::scratch;
use super::bytes::{part, u8_at, u16_at, u32_at};
use super::format::{
    HEADER_BYTES, LAYER_BYTES, MAX_LAYERS, MAX_VALUES, PLAIN_VERSION, TENSOR_BYTES, header,
};
use super::header::{Model, PixelFormat};
use super::layer::Layer;
use super::stream::StreamIndex;
use crate::error::{LayerFault, ModelError};

/// Tensors begin at multiples of this, and the arena's length is one.
const ARENA_UNIT: u64 = 4;

/// Checks everything but magic, version, length and checksum.
pub(super) fn check(model: &Model<'_>) -> Result<(), ModelError> {
    let labels_end = labels(model)?;
    tables(model, labels_end)?;
    streams::records(model)?;
    let streams = StreamIndex::new(model);
    for i in 0..model.tensor_count() {
        let tensor = model.tensor(i);
        let (scale, volume) = (tensor.affine.scale, tensor.shape.volume());
        // A tensor of which only some rows exist has no place of its own, but for the frame.
        let len = if streams.is_streamed(i) { 0 } else { volume };
        let placeless = len == 0 && i > 0 && tensor.offset > 0;
        let end = (tensor.offset as u64).saturating_add(len);
        if !(1..=MAX_VALUES).contains(&volume)
            || end > model.arena_len() as u64
            || placeless
            || !(scale > 0.0 && scale.is_finite())
            || model.tensor_reserved(i) != 0
            || !tensor.offset.is_multiple_of(ARENA_UNIT as usize)
        {
            return Err(ModelError::Tensor { tensor: i as u16 });
        }
    }
    let format = PixelFormat::from_code(u8_at(model.bytes, header::PIXEL_FORMAT));
    let channels = model.input().shape.c;
    if format.is_none_or(|f| f.channels().is_some_and(|c| c != channels)) {
        return Err(ModelError::Header {
            offset: header::PIXEL_FORMAT as u16,
        });
    }
    let (mut macs, mut proven) = (0u64, 0u64);
    for i in 0..model.layer_count() {
        let layer = Layer::decode(model, i, true)?;
        macs = macs.saturating_add(layer.operator.macs());
        // What has just been proven byte by byte. Layers that all point to the same bytes would
        // make a small file a long proof.
        proven = proven.saturating_add(layer.operator.weight_bytes());
        if proven > model.weights().len() as u64 {
            return Err(ModelError::Layer {
                layer: i as u16,
                what: LayerFault::Shared,
            });
        }
    }
    let (found, counted) = (model.macs(), macs.min(u64::from(u32::MAX)) as u32);
    if found != counted {
        return Err(ModelError::Macs { found, counted });
    }
    let scores = model.tensor(model.layer_count()).shape;
    if scores.volume() != model.class_count() as u64 {
        return Err(ModelError::Header {
            offset: header::CLASSES as u16,
        });
    }
    streams::layers(model, &streams)?;
    arena(model, &streams)?;
    live::check(model, &streams)?;
    streams::turns(model, &streams)
}

/// The sections follow one another without gaps, each at the first place that its readers like;
/// what lies between them is 0.
fn tables(model: &Model<'_>, labels_end: usize) -> Result<(), ModelError> {
    let (tensors, layers) = (model.tensor_count(), model.layer_count());
    let mut end = labels_end;
    for (field, unit, len) in [
        (header::TENSORS_AT, 4, tensors * TENSOR_BYTES),
        (
            header::LAYERS_AT,
            4,
            layers * LAYER_BYTES + model.streams_len(),
        ),
        (header::WEIGHTS_AT, 16, 0),
    ] {
        let begin = end.next_multiple_of(unit);
        let gap = part(model.bytes, end, begin - end);
        let clean = gap.is_some_and(|gap| gap.iter().all(|b| *b == 0));
        end = begin + len;
        if u32_at(model.bytes, field) as usize != begin || !clean || end > model.bytes.len() {
            let offset = field as u16;
            return Err(ModelError::Header { offset });
        }
    }
    Ok(())
}

/// The header's counts and the labels; where they end.
fn labels(model: &Model<'_>) -> Result<usize, ModelError> {
    let fault = |field: usize| ModelError::Header {
        offset: field as u16,
    };
    if usize::from(u16_at(model.bytes, header::HEADER_LEN)) != HEADER_BYTES {
        return Err(fault(header::HEADER_LEN));
    }
    if model.class_count() == 0 {
        return Err(fault(header::CLASSES));
    }
    match model.layer_count() {
        0 => return Err(fault(header::LAYERS)),
        1..=MAX_LAYERS => {}
        found => {
            return Err(ModelError::TooManyLayers {
                found: found as u16,
                most: MAX_LAYERS as u16,
            });
        }
    }
    if u8_at(model.bytes, header::RESERVED) != 0 {
        return Err(fault(header::RESERVED));
    }
    // A model without streams has the version that older builds read, too.
    if (u16_at(model.bytes, header::STREAM_WORDS) == 0)
        != (u16_at(model.bytes, header::VERSION) == PLAIN_VERSION)
    {
        return Err(fault(header::STREAM_WORDS));
    }
    let mut at = u32_at(model.bytes, header::LABELS_AT) as usize;
    if at != HEADER_BYTES {
        return Err(fault(header::LABELS_AT));
    }
    for class in 0..model.class_count() {
        let len = usize::from(u8_at(model.bytes, at));
        let text = part(model.bytes, at + 1, len).map(core::str::from_utf8);
        // Names are printed as they are: none may move a terminal's cursor or end a line.
        match text {
            Some(Ok(text)) if !text.chars().any(char::is_control) => at += 1 + len,
            _ => {
                return Err(ModelError::Label {
                    class: class as u16,
                });
            }
        }
    }
    Ok(at)
}

/// The arena is as long as tensors and scratch memory reach: a file may not ask for more.
fn arena(model: &Model<'_>, streams: &StreamIndex) -> Result<(), ModelError> {
    let whole = (0..model.tensor_count()).filter(|t| !streams.is_streamed(*t));
    let tensors = whole.map(|t| model.tensor(t).range().end);
    let scratch = (0..model.layer_count()).map(|i| scratch(model, i).end);
    let used = tensors.chain(scratch).chain(streams::ends(model));
    let used = used.max().unwrap_or(0) as u64;
    let used = used.next_multiple_of(ARENA_UNIT).min(u64::from(u32::MAX)) as u32;
    let found = model.arena_len() as u32;
    if found == used {
        Ok(())
    } else {
        Err(ModelError::ArenaLen { found, used })
    }
}
