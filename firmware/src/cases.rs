//! Layers and models that the host sends to a chip to be run, compared and counted.
//!
//! A case is a header of 32 bytes (eight little-endian u32), then packed model, input, second
//! input and expected output, each padded to a multiple of 16 bytes.

use pupil_core::model::Layer;
use pupil_core::observer::Observer;
use pupil_core::op::Operator;

/// Bytes of a header.
pub const HEADER_BYTES: usize = 32;

/// First word of a header.
const MAGIC: u32 = u32::from_le_bytes(*b"CASE");

/// Alignment of each part.
const ALIGNMENT: usize = 16;

/// What of the model runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// All layers; the input is a frame of u8.
    Whole,
    /// One layer, from input (and second input) to output.
    Layer(usize),
    /// One layer that replaces its first input.
    InPlace(usize),
}

/// Sizes of a case's parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What runs.
    pub work: Work,
    /// Bytes of packed model, input, second input, expected output.
    pub parts: [usize; 4],
}

impl Header {
    /// Reads a header; none where the bytes are none.
    pub fn parse(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let (words, _) = bytes.as_chunks::<4>();
        let mut words = words.iter().map(|w| u32::from_le_bytes(*w));
        let mut next = || words.next().unwrap_or(0);
        let (magic, kind, layer) = (next(), next(), next() as usize);
        let parts = [next(), next(), next(), next()].map(|n| n as usize);
        let work = match (magic, kind) {
            (MAGIC, 0) => Work::Whole,
            (MAGIC, 1) => Work::Layer(layer),
            (MAGIC, 2) => Work::InPlace(layer),
            _ => return None,
        };
        Some(Self { work, parts })
    }

    /// The header's bytes.
    pub fn to_bytes(&self) -> [u8; HEADER_BYTES] {
        let (kind, layer) = match self.work {
            Work::Whole => (0, 0),
            Work::Layer(layer) => (1, layer),
            Work::InPlace(layer) => (2, layer),
        };
        let [a, b, c, d] = self.parts;
        let words = [MAGIC as usize, kind, layer, a, b, c, d, 0];
        let mut bytes = [0; HEADER_BYTES];
        let (places, _) = bytes.as_chunks_mut::<4>();
        for (place, word) in places.iter_mut().zip(words) {
            *place = (word as u32).to_le_bytes();
        }
        bytes
    }

    /// Bytes behind the header.
    pub fn len(&self) -> usize {
        let padded = |n: &usize| n.saturating_add(ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        self.parts.iter().map(padded).fold(0, usize::saturating_add)
    }

    /// Whether nothing is behind the header.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Model, input, second input and expected output in the bytes behind the header; none where
    /// these are too few.
    pub fn split<'a>(&self, mut bytes: &'a [u8]) -> Option<[&'a [u8]; 4]> {
        let mut parts = [&bytes[..0]; 4];
        for (part, len) in parts.iter_mut().zip(self.parts) {
            *part = bytes.get(..len)?;
            bytes = bytes.get(len.next_multiple_of(ALIGNMENT)..)?;
        }
        Some(parts)
    }
}

/// A hash of all that a run has computed: FNV-1a over each layer's number and output, or rows of
/// it, in the order of the run. Means are left out, which are complete only at a stream's end.
#[derive(Clone, Copy, Debug)]
pub struct Trace(u32);

impl Default for Trace {
    fn default() -> Self {
        Self(0x811c_9dc5)
    }
}

impl Trace {
    /// The hash so far.
    pub fn hash(&self) -> u32 {
        self.0
    }

    fn add(&mut self, byte: u8) {
        self.0 = (self.0 ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }
}

impl Observer for Trace {
    fn after(&mut self, index: usize, layer: &Layer<'_>, output: &[i8]) {
        if !matches!(layer.operator, Operator::Mean(_)) {
            self.add(index as u8);
            output.iter().for_each(|q| self.add(*q as u8));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_written_and_parts_are_found() {
        for work in [Work::Whole, Work::Layer(3), Work::InPlace(7)] {
            let header = Header {
                work,
                parts: [17, 3, 0, 16],
            };
            assert_eq!(Header::parse(&header.to_bytes()), Some(header));
            assert_eq!((header.len(), header.is_empty()), (32 + 16 + 16, false));
            let bytes: Vec<u8> = (0..64).collect();
            let [model, input, second, expected] = header.split(&bytes).unwrap();
            assert_eq!((model.len(), input, second.len()), (17, &bytes[32..35], 0));
            assert_eq!(expected, &bytes[48..]);
            assert_eq!(header.split(&bytes[..63]), None);
        }
        assert_eq!(Header::parse(&[0; HEADER_BYTES]), None);
    }
}
