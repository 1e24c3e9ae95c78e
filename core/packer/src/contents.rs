//! What a packed model holds, before its memory is planned; and the one place that writes the file.

use std::fmt;

use pupil_core::error::ModelError;
use pupil_core::model::format::{
    CHECKSUM_START, HEADER_BYTES, LAYER_BYTES, LINK_BYTES, MAGIC, STREAM_BYTES, TENSOR_BYTES, code,
    header, layout,
};
use pupil_core::model::{FORMAT_VERSION, LayerRecord, Model, PLAIN_VERSION, PixelFormat, crc32};
use pupil_core::op::quant::Affine;
use pupil_core::op::shape::Shape;
use pupil_core::stream::LinkRecord;

/// Why a layer or model can't be built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildError(pub String);

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BuildError {}

impl From<ModelError> for BuildError {
    fn from(error: ModelError) -> Self {
        Self(error.to_string())
    }
}

/// Dimensions and real values of a tensor.
#[derive(Clone, Copy)]
pub struct Tensor {
    pub shape: Shape,
    pub affine: Affine,
}

/// Everything in the file but places in the arena and streams.
pub struct Contents {
    pub format: PixelFormat,
    pub labels: Vec<String>,
    /// The input, then the output of each layer.
    pub tensors: Vec<Tensor>,
    /// Their scratch memory has a length and no place yet.
    pub layers: Vec<LayerRecord>,
    /// Weights, channel records, tables, constants.
    pub weights: Vec<u8>,
    pub macs: u64,
}

/// A stream with all its places.
pub struct PlacedStream {
    pub at: usize,
    pub end: usize,
    pub frame_rows: usize,
    pub links: Vec<LinkRecord>,
}

/// Where everything lies in the arena.
pub struct Placement {
    /// First byte of each tensor; 0 where only rows of it exist.
    pub tensors: Vec<usize>,
    /// First byte of each layer's scratch memory; 0 where it has none.
    pub scratch: Vec<usize>,
    pub streams: Vec<PlacedStream>,
    /// Bytes of the arena.
    pub peak: usize,
}

impl Contents {
    /// Of a packed model.
    pub fn of(model: &Model<'_>) -> Self {
        let records = (0..model.layer_count()).filter_map(|i| model.record(i));
        let tensors = (0..model.tensor_count()).map(|t| model.tensor(t));
        Self {
            format: model.input().format,
            labels: model.labels().map(str::to_owned).collect(),
            tensors: tensors
                .map(|t| Tensor {
                    shape: t.shape,
                    affine: t.affine,
                })
                .collect(),
            layers: records.collect(),
            weights: model.weights().to_vec(),
            macs: u64::from(model.macs()),
        }
    }

    /// The file, checked.
    ///
    /// # Errors
    /// Labels and sizes that the format can't hold, and whatever [`Model::parse`] says of the bytes.
    pub fn emit(&self, placement: &Placement) -> Result<Vec<u8>, BuildError> {
        let mut file = vec![0u8; HEADER_BYTES];
        let labels_at = file.len();
        for label in &self.labels {
            check_label(label)?;
            file.push(label.len() as u8);
            file.extend(label.as_bytes());
        }
        pad(&mut file, 4);
        let tensors_at = file.len();
        for (tensor, offset) in self.tensors.iter().zip(&placement.tensors) {
            file.extend(tensor_record(tensor, *offset)?);
        }
        let layers_at = file.len();
        for (record, scratch) in self.layers.iter().zip(&placement.scratch) {
            let scratch_at = address(*scratch)?;
            file.extend(
                LayerRecord {
                    scratch_at,
                    ..*record
                }
                .emit(),
            );
        }
        let streams_at = layers_at + LAYER_BYTES * self.layers.len();
        for stream in &placement.streams {
            file.extend(stream_record(stream)?);
        }
        let stream_bytes = file.len() - streams_at;
        pad(&mut file, 16);
        let weights_at = file.len();
        file.extend(&self.weights);

        let version = if stream_bytes > 0 {
            FORMAT_VERSION
        } else {
            PLAIN_VERSION
        };
        file[..MAGIC.len()].copy_from_slice(&MAGIC);
        file[header::PIXEL_FORMAT] = self.format.code();
        let halves = [
            (header::VERSION, usize::from(version)),
            (header::HEADER_LEN, HEADER_BYTES),
            (header::CLASSES, self.labels.len()),
            (header::LAYERS, self.layers.len()),
            (header::STREAM_WORDS, stream_bytes / 4),
        ];
        for (at, value) in halves {
            file[at..at + 2].copy_from_slice(&half(value)?);
        }
        let words = [
            (header::FILE_LEN, file.len()),
            (header::LABELS_AT, labels_at),
            (header::TENSORS_AT, tensors_at),
            (header::LAYERS_AT, layers_at),
            (header::WEIGHTS_AT, weights_at),
            (header::ARENA_LEN, placement.peak),
            (header::MACS, self.macs.min(u64::from(u32::MAX)) as usize),
        ];
        for (at, value) in words {
            file[at..at + 4].copy_from_slice(&address(value)?.to_le_bytes());
        }
        let crc = crc32(&file[CHECKSUM_START..]);
        file[header::CHECKSUM..CHECKSUM_START].copy_from_slice(&crc.to_le_bytes());
        Model::parse(&file)?;
        Ok(file)
    }
}

fn half(value: usize) -> Result<[u8; 2], BuildError> {
    let half = u16::try_from(value)
        .map_err(|_| BuildError(format!("{value} exceeds 65,535, the most of its field")))?;
    Ok(half.to_le_bytes())
}

fn address(value: usize) -> Result<u32, BuildError> {
    u32::try_from(value).map_err(|_| BuildError(format!("{value} bytes exceed 32 bits")))
}

fn tensor_record(tensor: &Tensor, offset: usize) -> Result<Vec<u8>, BuildError> {
    let mut record = Vec::with_capacity(TENSOR_BYTES);
    for side in [tensor.shape.h, tensor.shape.w, tensor.shape.c] {
        record.extend(half(side)?);
    }
    record.extend([tensor.affine.zero_point as u8, 0]);
    record.extend(tensor.affine.scale.to_le_bytes());
    record.extend(address(offset)?.to_le_bytes());
    debug_assert_eq!(record.len(), TENSOR_BYTES);
    Ok(record)
}

fn stream_record(stream: &PlacedStream) -> Result<Vec<u8>, BuildError> {
    let mut record = Vec::with_capacity(STREAM_BYTES + LINK_BYTES * stream.links.len());
    for n in [stream.at, stream.end, stream.links.len(), stream.frame_rows] {
        record.extend(half(n)?);
    }
    for link in &stream.links {
        for n in [link.layer, link.band, link.capacity] {
            record.extend(half(n)?);
        }
        record.extend([link.replaces, 0]);
        record.extend(address(link.offset)?.to_le_bytes());
    }
    Ok(record)
}

/// Whether a packed model can hold a class called `label`: 255 bytes at most, no control characters.
///
/// # Errors
/// What is wrong with it; [`ModelBuilder::finish`](crate::ModelBuilder::finish) says the same.
pub fn check_label(label: &str) -> Result<(), BuildError> {
    if label.chars().any(char::is_control) {
        return Err(BuildError(format!(
            "label {label:?} has control characters"
        )));
    }
    if label.len() > usize::from(u8::MAX) {
        let (len, most) = (label.len(), u8::MAX);
        let start: String = label.chars().take(24).collect();
        return Err(BuildError(format!(
            "label {start:?}… has {len} bytes, {most} are the most"
        )));
    }
    Ok(())
}

/// Which inputs (first, second) a layer's output may replace, value by value: what
/// [`Operator::works_in_place`](pupil_core::op::Operator::works_in_place) says of the parsed layer.
pub fn in_place(record: &LayerRecord) -> [bool; 2] {
    let blocks = matches!(record.layout, layout::ROW_PAIRS_FAST | layout::ROW_PAIRS);
    match record.operator {
        code::ADD => [true, true],
        code::MUL | code::LOOKUP => [true, false],
        code::DEPTHWISE => [blocks, false],
        _ => [false, false],
    }
}

/// Fills up with zeros to a multiple of `to` bytes.
pub fn pad(bytes: &mut Vec<u8>, to: usize) {
    bytes.resize(bytes.len().next_multiple_of(to), 0);
}
