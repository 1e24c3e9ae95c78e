//! The packed format's sizes, field offsets and codes: `FORMAT.md` as constants. Readers and the
//! packer both use them.

/// The first four bytes.
pub const MAGIC: [u8; 4] = *b"PUPL";
/// Greatest format version that this build reads and writes: that of models with streams.
pub const FORMAT_VERSION: u16 = 3;

/// Format version of models whose layers all run one by one. Older ones are not read.
pub const PLAIN_VERSION: u16 = 2;

/// Most layers of a model. The largest EfficientNet has about 450.
pub const MAX_LAYERS: usize = 1024;

/// Greatest height, width or number of channels of a map.
pub const MAX_SIDE: usize = u16::MAX as usize;

/// Most values of a map, whether it is whole or only some of its rows exist: their number fits an i32,
/// also on a chip.
pub const MAX_VALUES: u64 = i32::MAX as u64;

/// Greatest side and stride of a window.
pub const MAX_WINDOW: usize = u8::MAX as usize;

/// Most tensors that are needed at a time. Networks with one path have two or three, Inception's
/// modules five; a record of each is kept while a model is checked.
pub const MAX_LIVE: usize = 64;

/// Bytes of the header.
pub const HEADER_BYTES: usize = 48;
/// Bytes of a tensor record.
pub const TENSOR_BYTES: usize = 16;
/// Bytes of a layer record.
pub const LAYER_BYTES: usize = 40;
/// Bytes of a stream's head, before its links.
pub const STREAM_BYTES: usize = 8;
/// Bytes of a link.
pub const LINK_BYTES: usize = 12;
/// First byte that the checksum covers.
pub const CHECKSUM_START: usize = 16;
/// The second input of a layer that reads one tensor.
pub const NO_TENSOR: u16 = u16::MAX;

/// Offsets of the header's fields.
pub mod header {
    /// u16, format version.
    pub const VERSION: usize = 4;
    /// u16, bytes of the header.
    pub const HEADER_LEN: usize = 6;
    /// u32, bytes of the file.
    pub const FILE_LEN: usize = 8;
    /// u32, CRC-32 of everything after it.
    pub const CHECKSUM: usize = 12;
    /// u16, number of classes.
    pub const CLASSES: usize = 16;
    /// u16, number of layers.
    pub const LAYERS: usize = 18;
    /// u8, code of the pixel format.
    pub const PIXEL_FORMAT: usize = 20;
    /// u8, 0.
    pub const RESERVED: usize = 21;
    /// u16, bytes of all stream records divided by 4.
    pub const STREAM_WORDS: usize = 22;
    /// u32, first byte of the labels.
    pub const LABELS_AT: usize = 24;
    /// u32, first byte of the tensor records.
    pub const TENSORS_AT: usize = 28;
    /// u32, first byte of the layer records, which the stream records follow.
    pub const LAYERS_AT: usize = 32;
    /// u32, first byte of weights, channel records, tables and constants.
    pub const WEIGHTS_AT: usize = 36;
    /// u32, bytes of the arena.
    pub const ARENA_LEN: usize = 40;
    /// u32, multiply-accumulates of one image.
    pub const MACS: usize = 44;
}

/// Offsets of a tensor record's fields.
pub mod tensor {
    /// u16, height; width and channels follow.
    pub const HEIGHT: usize = 0;
    /// u16.
    pub const WIDTH: usize = 2;
    /// u16.
    pub const CHANNELS: usize = 4;
    /// i8.
    pub const ZERO_POINT: usize = 6;
    /// u8, 0.
    pub const RESERVED: usize = 7;
    /// f32.
    pub const SCALE: usize = 8;
    /// u32, first byte in the arena.
    pub const OFFSET: usize = 12;
}

/// Offsets of a layer record's fields.
pub mod layer {
    /// u8, an operator's [`code`](super::code).
    pub const OPERATOR: usize = 0;
    /// u8, 1 where a table follows the layer.
    pub const FLAGS: usize = 1;
    /// u16, first input tensor.
    pub const INPUT: usize = 2;
    /// u16, second input tensor, or [`NO_TENSOR`](super::NO_TENSOR).
    pub const SECOND: usize = 4;
    /// Six u8: kernel height and width, stride down and right, rows above and columns left of the
    /// image.
    pub const WINDOW: usize = 6;
    /// i8.
    pub const ZERO_POINT: usize = 12;
    /// i8, lower clamp.
    pub const MIN: usize = 13;
    /// i8, upper clamp.
    pub const MAX: usize = 14;
    /// u8, the weights' [`layout`](super::layout).
    pub const LAYOUT: usize = 15;
    /// u32, weights in the weights section.
    pub const WEIGHTS: usize = 16;
    /// u32, channel records there.
    pub const CHANNELS: usize = 20;
    /// u32, a table there.
    pub const TABLE: usize = 24;
    /// u32, constants there.
    pub const CONSTANTS: usize = 28;
    /// u32, first byte of scratch memory in the arena.
    pub const SCRATCH_AT: usize = 32;
    /// u32, bytes of scratch memory.
    pub const SCRATCH_LEN: usize = 36;
}

/// Operator codes.
pub mod code {
    /// Convolution.
    pub const CONV: u8 = 1;
    /// Depthwise convolution.
    pub const DEPTHWISE: u8 = 2;
    /// Dense layer.
    pub const DENSE: u8 = 3;
    /// Average over windows.
    pub const AVERAGE_POOL: u8 = 4;
    /// Maximum over windows.
    pub const MAX_POOL: u8 = 5;
    /// Mean over height and width.
    pub const MEAN: u8 = 6;
    /// Addition.
    pub const ADD: u8 = 7;
    /// Multiplication by one number a channel.
    pub const MUL: u8 = 8;
    /// Table.
    pub const LOOKUP: u8 = 9;
    /// Softmax.
    pub const SOFTMAX: u8 = 10;
}

/// Layout codes. Codes are free for each operator; 0 is natural for all.
pub mod layout {
    /// As TensorFlow Lite has the weights.
    pub const NATURAL: u8 = 0;
    /// [`Layout::Pairs`](crate::op::Layout).
    pub const PAIRS: u8 = 1;
    /// [`Layout::PairsDoubled`](crate::op::Layout).
    pub const PAIRS_DOUBLED: u8 = 2;
    /// Row pairs of a block kernel, zero point at the lower clamp.
    pub const ROW_PAIRS_FAST: u8 = 3;
    /// Row pairs of a block kernel.
    pub const ROW_PAIRS: u8 = 4;
    /// Row pairs of any window.
    pub const ROW_PAIRS_ANY: u8 = 5;
    /// Of an addition: a table follows the constants.
    pub const TABLE: u8 = 6;
}

/// The record of a layer, as it lies in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LayerRecord {
    /// An operator's [`code`].
    pub operator: u8,
    /// 1 where a table follows the layer.
    pub flags: u8,
    /// First input tensor.
    pub input: u16,
    /// Second input tensor, or [`NO_TENSOR`].
    pub second: u16,
    /// Kernel height and width, stride down and right, rows above and columns left of the image.
    pub window: [u8; 6],
    /// Zero point of the requantized value.
    pub zero_point: i8,
    /// Lower clamp.
    pub min: i8,
    /// Upper clamp.
    pub max: i8,
    /// The weights' [`layout`].
    pub layout: u8,
    /// Weights in the weights section.
    pub weights: u32,
    /// Channel records there.
    pub channels: u32,
    /// A table there.
    pub table: u32,
    /// Constants there.
    pub constants: u32,
    /// First byte of scratch memory in the arena.
    pub scratch_at: u32,
    /// Bytes of scratch memory.
    pub scratch_len: u32,
}

impl LayerRecord {
    /// Reads a record.
    #[inline(always)]
    pub fn parse(bytes: &[u8; LAYER_BYTES]) -> Self {
        let half = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let word = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let w = layer::WINDOW;
        Self {
            operator: bytes[layer::OPERATOR],
            flags: bytes[layer::FLAGS],
            input: half(layer::INPUT),
            second: half(layer::SECOND),
            window: core::array::from_fn(|i| bytes[w + i]),
            zero_point: bytes[layer::ZERO_POINT] as i8,
            min: bytes[layer::MIN] as i8,
            max: bytes[layer::MAX] as i8,
            layout: bytes[layer::LAYOUT],
            weights: word(layer::WEIGHTS),
            channels: word(layer::CHANNELS),
            table: word(layer::TABLE),
            constants: word(layer::CONSTANTS),
            scratch_at: word(layer::SCRATCH_AT),
            scratch_len: word(layer::SCRATCH_LEN),
        }
    }

    /// Writes the record.
    pub fn emit(&self) -> [u8; LAYER_BYTES] {
        let mut bytes = [0; LAYER_BYTES];
        bytes[layer::OPERATOR] = self.operator;
        bytes[layer::FLAGS] = self.flags;
        for (at, n) in [(layer::INPUT, self.input), (layer::SECOND, self.second)] {
            bytes[at..at + 2].copy_from_slice(&n.to_le_bytes());
        }
        bytes[layer::WINDOW..layer::ZERO_POINT].copy_from_slice(&self.window);
        bytes[layer::ZERO_POINT] = self.zero_point as u8;
        bytes[layer::MIN] = self.min as u8;
        bytes[layer::MAX] = self.max as u8;
        bytes[layer::LAYOUT] = self.layout;
        for (at, n) in [
            (layer::WEIGHTS, self.weights),
            (layer::CHANNELS, self.channels),
            (layer::TABLE, self.table),
            (layer::CONSTANTS, self.constants),
            (layer::SCRATCH_AT, self.scratch_at),
            (layer::SCRATCH_LEN, self.scratch_len),
        ] {
            bytes[at..at + 4].copy_from_slice(&n.to_le_bytes());
        }
        bytes
    }

    /// First and second input tensor.
    pub fn inputs(&self) -> [Option<usize>; 2] {
        let second = Some(self.second).filter(|t| *t != NO_TENSOR);
        [Some(usize::from(self.input)), second.map(usize::from)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_record_comes_back_byte_by_byte(bytes: [u8; 32], rest: [u8; 8]) {
            let mut record = [0; LAYER_BYTES];
            record[..32].copy_from_slice(&bytes);
            record[32..].copy_from_slice(&rest);
            prop_assert_eq!(LayerRecord::parse(&record).emit(), record);
        }
    }
}
