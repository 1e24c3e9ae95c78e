//! A packed model taken apart into its fields, and written again from whatever they hold.
//!
//! A second reader and writer of the format, independent of core's: it checks nothing, so that a
//! mutator can write what no packer would. Lengths, section offsets and the checksum are always
//! right; everything else is written as the fields have it.

use pupil_core::op::pairs::{padded, stream_len};

pub use super::record::{Layer, Link, NONE, Stream, Tensor, code};
use super::record::{bytes, half, read_streams, word};

/// Bytes of the header.
const HEADER: usize = 48;

/// All of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct File {
    /// Pixel format and the reserved byte after it.
    pub format: [u8; 2],
    /// Labels as they are in the file, without padding; a label a class.
    pub labels: Vec<u8>,
    /// Classes.
    pub classes: u16,
    /// Tensors.
    pub tensors: Vec<Tensor>,
    /// Layers.
    pub layers: Vec<Layer>,
    /// Streams.
    pub streams: Vec<Stream>,
    /// The weights section.
    pub weights: Vec<u8>,
    /// Bytes of the arena.
    pub arena: u32,
    /// Multiply-accumulates.
    pub macs: u32,
}

impl File {
    /// Reads a file; none if a section lies outside it or there is no layer.
    pub fn read(file: &[u8]) -> Option<Self> {
        let (classes, layers) = (half(file, 16)?, usize::from(half(file, 18)?));
        if layers == 0 {
            return None;
        }
        let [labels_at, tensors_at, layers_at, weights_at] =
            [24, 28, 32, 36].map(|at| word(file, at).unwrap_or(u32::MAX) as usize);
        let mut end = labels_at;
        for _ in 0..classes {
            end += 1 + usize::from(*file.get(end)?);
        }
        let streams_at = layers_at.checked_add(40 * layers)?;
        let streams_len = 4 * usize::from(half(file, 22)?);
        Some(Self {
            format: bytes(file, 20)?,
            labels: file.get(labels_at..end)?.to_vec(),
            classes,
            tensors: (0..=layers)
                .map(|i| Tensor::read(file.get(tensors_at + 16 * i..)?))
                .collect::<Option<_>>()?,
            layers: (0..layers)
                .map(|i| Layer::read(file.get(layers_at + 40 * i..)?))
                .collect::<Option<_>>()?,
            streams: read_streams(file.get(streams_at..)?.get(..streams_len)?)?,
            weights: file.get(weights_at..)?.to_vec(),
            arena: word(file, 40)?,
            macs: word(file, 44)?,
        })
    }

    /// The file's bytes.
    pub fn write(&self) -> Vec<u8> {
        let mut file = vec![0; HEADER];
        file.extend(&self.labels);
        file.resize(file.len().next_multiple_of(4), 0);
        let tensors_at = file.len();
        self.tensors.iter().for_each(|t| t.write(&mut file));
        let layers_at = file.len();
        self.layers.iter().for_each(|l| l.write(&mut file));
        let streams_at = file.len();
        self.streams.iter().for_each(|s| s.write(&mut file));
        let streams = (file.len() - streams_at) / 4;
        file.resize(file.len().next_multiple_of(16), 0);
        let weights_at = file.len();
        file.extend(&self.weights);
        let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, b"PUPL");
        put(4, &[if streams > 0 { 3 } else { 2 }, 0, HEADER as u8, 0]);
        put(16, &self.classes.to_le_bytes());
        put(18, &(self.layers.len() as u16).to_le_bytes());
        put(20, &self.format);
        put(22, &(streams as u16).to_le_bytes());
        for (i, at) in [HEADER, tensors_at, layers_at, weights_at]
            .iter()
            .enumerate()
        {
            put(24 + 4 * i, &(*at as u32).to_le_bytes());
        }
        put(40, &self.arena.to_le_bytes());
        put(44, &self.macs.to_le_bytes());
        seal(&mut file);
        file
    }

    /// Whether only some rows of tensor `t` exist at a time.
    pub fn is_streamed(&self, t: usize) -> bool {
        match t.checked_sub(1) {
            None => self.streams.first().is_some_and(|s| s.frame_rows > 0),
            Some(layer) => self.streams.iter().any(|s| {
                let [at, end] = s.layers.map(usize::from);
                (at..end).contains(&layer) && end != t
            }),
        }
    }

    /// Classes and empty labels for the last tensor's values.
    pub fn relabel(&mut self) {
        let values = self.tensors.last().map_or(0, Tensor::len).min(65_535);
        if usize::from(self.classes) != values {
            (self.classes, self.labels) = (values as u16, vec![0; values]);
        }
    }

    /// Input and output of a layer.
    pub fn maps(&self, layer: usize) -> [Tensor; 2] {
        let tensor = |t: usize| self.tensors[t.min(self.tensors.len() - 1)];
        [
            tensor(usize::from(self.layers[layer].inputs[0])),
            tensor(layer + 1),
        ]
    }

    /// Weights of an output channel of a convolution, depthwise or dense layer.
    pub fn taps(&self, layer: usize) -> usize {
        let [input, _] = self.maps(layer);
        let l = &self.layers[layer];
        let window = usize::from(l.window[0]) * usize::from(l.window[1]);
        match l.code {
            code::CONV => window * usize::from(input.shape[2]),
            code::DEPTHWISE => window,
            _ => input.len(),
        }
    }

    /// Bytes of a layer's weights, channel records, table and constants.
    pub fn section_lens(&self, layer: usize) -> [usize; 4] {
        let [_, output] = self.maps(layer);
        let (l, out_ch) = (&self.layers[layer], usize::from(output.shape[2]));
        let filter = matches!(l.code, code::CONV | code::DEPTHWISE | code::DENSE);
        let taps = if filter { self.taps(layer) } else { 0 };
        let weights = match l.layout {
            _ if !filter => 0,
            0 => taps * out_ch,
            1 | 2 => stream_len(taps as u64, out_ch as u64) as usize,
            layout => 4 * row_pair_words(layout, l.window) * out_ch,
        };
        let table = match (l.code, l.layout, l.flags & 1) {
            (code::LOOKUP, ..) | (_, _, 1) => 256,
            (code::ADD, 6, _) => 1024,
            _ => 0,
        };
        let constants = match l.code {
            code::MEAN | code::MUL => 8,
            code::ADD => 24,
            code::SOFTMAX => 12,
            _ => 0,
        };
        let channels = if filter && l.layout == 0 {
            12 * out_ch
        } else {
            0
        };
        [weights, channels, table, constants]
    }

    /// An estimate of a layer's scratch bytes, rarely too small.
    pub fn ample_scratch(&self, layer: usize) -> usize {
        let [input, output] = self.maps(layer);
        let l = &self.layers[layer];
        let [kernel_h, kernel_w] = [l.window[0], l.window[1]].map(usize::from);
        match (l.code, l.layout) {
            (code::CONV, 1..) => 6 * padded(self.taps(layer)),
            (code::DENSE, 1..) => 2 * padded(self.taps(layer)),
            (code::DEPTHWISE, 1..) => {
                let [width, wide] = [input, output].map(|t| usize::from(t.shape[1]));
                let height = usize::from(output.shape[0]);
                16 * (kernel_h + 1) * (kernel_w + width + 2) + 64 * (wide + height + 4)
            }
            (code::MUL, _) => 8 * usize::from(input.shape[2]),
            _ => 0,
        }
    }
}

/// Words of a channel in the layouts 3 to 5.
fn row_pair_words(layout: u8, window: [u8; 6]) -> usize {
    let head = if layout == 3 { 3 } else { 4 };
    match (layout, window[..4] == [5, 5, 1, 1], window[2]) {
        (5, ..) => head + usize::from(window[0].div_ceil(2)) * usize::from(window[1]),
        (_, true, _) => head + 20,
        (_, _, 2) => head + 5,
        _ => head + 6,
    }
}

/// Makes length and checksum of a file right.
pub fn seal(file: &mut [u8]) {
    let len = (file.len() as u32).to_le_bytes();
    if let Some(field) = file.get_mut(8..12) {
        field.copy_from_slice(&len);
        let crc = crc32(file.get(16..).unwrap_or(&[])).to_le_bytes();
        if let Some(field) = file.get_mut(12..16) {
            field.copy_from_slice(&crc);
        }
    }
}

/// CRC-32 of IEEE 802.3, a byte at a time.
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut i = 0;
        while i < 256 {
            let (mut crc, mut bit) = (i as u32, 0);
            while bit < 8 {
                crc = (crc >> 1) ^ (0xedb8_8320 * (crc & 1));
                bit += 1;
            }
            table[i] = crc;
            i += 1;
        }
        table
    };
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (crc >> 8) ^ TABLE[usize::from(crc as u8 ^ byte)]
    })
}
