//! Header, labels and tensor table of a packed model.

use super::bytes::{f32_at, part, u8_at, u16_at, u32_at};
use super::format::{LAYER_BYTES, LayerRecord, TENSOR_BYTES, header, tensor};
use crate::op::quant::Affine;
use crate::op::shape::Shape;

/// How a frame's bytes are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum PixelFormat {
    /// One byte a pixel, 0 black to 255 white.
    Grey8,
    /// Red, green, blue, a byte each.
    Rgb888,
    /// Any number of channels, a byte each: sensors other than cameras.
    Raw8,
}

impl PixelFormat {
    /// Channels of a pixel, where the format fixes them.
    pub const fn channels(self) -> Option<usize> {
        match self {
            Self::Grey8 => Some(1),
            Self::Rgb888 => Some(3),
            Self::Raw8 => None,
        }
    }

    /// Its code in the packed format.
    pub const fn code(self) -> u8 {
        match self {
            Self::Grey8 => 1,
            Self::Rgb888 => 2,
            Self::Raw8 => 3,
        }
    }

    pub(crate) const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Grey8),
            2 => Some(Self::Rgb888),
            3 => Some(Self::Raw8),
            _ => None,
        }
    }
}

/// What a model reads. The int8 input is `pixel - 128`, so that the real value of a pixel is
/// `scale * (pixel - 128 - zero_point)`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct InputSpec {
    /// Height, width, channels.
    pub shape: Shape,
    /// How bytes become channels.
    pub format: PixelFormat,
    /// Real value of the int8 input.
    pub affine: Affine,
}

/// One tensor of the model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TensorInfo {
    /// Height, width, channels.
    pub shape: Shape,
    /// Real values.
    pub affine: Affine,
    /// First byte in the arena.
    pub offset: usize,
}

impl TensorInfo {
    /// Its bytes in the arena.
    pub fn range(&self) -> core::ops::Range<usize> {
        self.offset..self.offset + self.shape.len()
    }
}

/// A checked packed model over its bytes, which stay where they are (in flash).
///
/// Tensor 0 is the input; layer i writes tensor i + 1. Copying copies a slice.
#[derive(Clone, Copy, Debug)]
pub struct Model<'a> {
    pub(crate) bytes: &'a [u8],
}

impl<'a> Model<'a> {
    /// The packed bytes.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// What a frame must look like.
    pub fn input(&self) -> InputSpec {
        let tensor = self.tensor(0);
        let format = PixelFormat::from_code(u8_at(self.bytes, header::PIXEL_FORMAT))
            .unwrap_or(PixelFormat::Grey8);
        InputSpec {
            shape: tensor.shape,
            format,
            affine: tensor.affine,
        }
    }

    /// Number of classes: values of the last tensor.
    pub fn class_count(&self) -> usize {
        usize::from(u16_at(self.bytes, header::CLASSES))
    }

    /// Number of layers.
    pub fn layer_count(&self) -> usize {
        usize::from(u16_at(self.bytes, header::LAYERS))
    }

    /// Number of tensors: one more than layers.
    pub fn tensor_count(&self) -> usize {
        self.layer_count() + 1
    }

    /// Bytes of RAM that the interpreter works in.
    pub fn arena_len(&self) -> usize {
        u32_at(self.bytes, header::ARENA_LEN) as usize
    }

    /// Multiply-accumulates of convolutions and dense layers for one image, each layer counted once;
    /// [`Model::work`] counts all operators as they run.
    pub fn macs(&self) -> u32 {
        u32_at(self.bytes, header::MACS)
    }

    /// Names of the classes, in order.
    pub fn labels(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let (bytes, mut at) = (self.bytes, u32_at(self.bytes, header::LABELS_AT) as usize);
        (0..self.class_count()).map(move |_| {
            let len = usize::from(u8_at(bytes, at));
            let text = part(bytes, at + 1, len).and_then(|b| core::str::from_utf8(b).ok());
            at += 1 + len;
            text.unwrap_or("")
        })
    }

    /// Name of class `index`.
    pub fn label(&self, index: usize) -> Option<&'a str> {
        self.labels().nth(index)
    }

    /// Tensor `index`; an empty one beyond the last.
    pub fn tensor(&self, index: usize) -> TensorInfo {
        let at =
            (u32_at(self.bytes, header::TENSORS_AT) as usize).saturating_add(index * TENSOR_BYTES);
        let record = if index < self.tensor_count() {
            part(self.bytes, at, TENSOR_BYTES).unwrap_or(&[])
        } else {
            &[]
        };
        let side = |at| usize::from(u16_at(record, at));
        TensorInfo {
            shape: Shape::new(
                side(tensor::HEIGHT),
                side(tensor::WIDTH),
                side(tensor::CHANNELS),
            ),
            affine: Affine {
                zero_point: u8_at(record, tensor::ZERO_POINT) as i8,
                scale: f32_at(record, tensor::SCALE),
            },
            offset: u32_at(record, tensor::OFFSET) as usize,
        }
    }

    /// The byte of tensor record `index` that means nothing yet.
    pub(crate) fn tensor_reserved(&self, index: usize) -> u8 {
        let at =
            (u32_at(self.bytes, header::TENSORS_AT) as usize).saturating_add(index * TENSOR_BYTES);
        u8_at(self.bytes, at + tensor::RESERVED)
    }

    /// Weights, channel records, tables and constants: layer records point into it.
    pub fn weights(&self) -> &'a [u8] {
        self.bytes
            .get(u32_at(self.bytes, header::WEIGHTS_AT) as usize..)
            .unwrap_or(&[])
    }

    /// The record of layer `index`; none beyond the last.
    pub fn record(&self, index: usize) -> Option<LayerRecord> {
        let at = (u32_at(self.bytes, header::LAYERS_AT) as usize)
            .checked_add(index.checked_mul(LAYER_BYTES)?)?;
        let record = part(self.bytes, at, LAYER_BYTES).filter(|_| index < self.layer_count())?;
        Some(LayerRecord::parse(record.first_chunk()?))
    }
}
