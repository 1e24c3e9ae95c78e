//! Writes a packed model anew with other streams and places.

use std::vec::Vec;

use super::demands::Kind;
use super::segment::Segment;
use crate::model::{
    CRC_START, FORMAT_VERSION, HEADER_BYTES, LAYER_BYTES, LINK_BYTES, Model, PLAIN_VERSION,
    STREAM_BYTES, TENSOR_BYTES, crc32,
};

/// Where everything lies.
pub(super) struct Places(pub Vec<(Kind, usize)>);

impl Places {
    /// Offset of what has a place; 0 for what has none.
    fn of(&self, kind: Kind) -> usize {
        let found = self.0.iter().find(|(k, _)| *k == kind);
        found.map_or(0, |(_, offset)| *offset)
    }
}

/// The file with these streams and places; labels, layers and weights are those of `packed`.
pub(super) fn rewrite(
    packed: &[u8],
    model: &Model<'_>,
    segments: &[Segment],
    places: &Places,
    peak: usize,
) -> Vec<u8> {
    let field = |at: usize| match packed.get(at..at + 4) {
        Some(&[a, b, c, d]) => u32::from_le_bytes([a, b, c, d]) as usize,
        _ => 0,
    };
    let (tensors_at, layers_at, weights_at) = (field(28), field(32), field(36));
    let mut file = packed[..layers_at].to_vec();
    for t in 0..model.tensor_count() {
        let offset = match places.of(Kind::Frame) {
            frame if t == 0 && places.0.iter().any(|(k, _)| *k == Kind::Frame) => frame,
            _ => places.of(Kind::Tensor(t)),
        };
        let at = tensors_at + t * TENSOR_BYTES + 12;
        file[at..at + 4].copy_from_slice(&(offset as u32).to_le_bytes());
    }
    for i in 0..model.layer_count() {
        let at = layers_at + i * LAYER_BYTES;
        let mut record = packed[at..at + LAYER_BYTES].to_vec();
        let segment = segments.iter().find(|s| (s.at..s.end).contains(&i));
        let streamed = segment.filter(|s| s.streams.iter().any(|p| (p.at..p.end).contains(&i)));
        let owner = streamed.map_or(i, |s| s.at);
        let has_scratch = record[36..40] != [0; 4];
        let offset = if has_scratch {
            places.of(Kind::Scratch(owner))
        } else {
            0
        };
        record[32..36].copy_from_slice(&(offset as u32).to_le_bytes());
        file.extend(record);
    }
    let begin = file.len();
    for stream in segments.iter().flat_map(|s| &s.streams) {
        let start = file.len();
        for n in [stream.at, stream.end, stream.links.len(), stream.frame_rows] {
            file.extend((n as u16).to_le_bytes());
        }
        debug_assert_eq!(file.len() - start, STREAM_BYTES);
        for link in &stream.links {
            let start = file.len();
            for n in [link.layer, link.band, link.capacity] {
                file.extend((n as u16).to_le_bytes());
            }
            file.extend([link.replaces, 0]);
            let offset = places.of(Kind::Link(stream.at, link.layer));
            file.extend((offset as u32).to_le_bytes());
            debug_assert_eq!(file.len() - start, LINK_BYTES);
        }
    }
    let streams = file.len() - begin;
    file.resize(file.len().next_multiple_of(16), 0);
    let new_weights_at = file.len();
    file.extend(&packed[weights_at..]);
    let version = if streams > 0 {
        FORMAT_VERSION
    } else {
        PLAIN_VERSION
    };
    file[4..6].copy_from_slice(&version.to_le_bytes());
    file[22..24].copy_from_slice(&((streams / 4) as u16).to_le_bytes());
    for (at, value) in [(8, file.len()), (36, new_weights_at), (40, peak)] {
        file[at..at + 4].copy_from_slice(&(value as u32).to_le_bytes());
    }
    debug_assert!(layers_at >= HEADER_BYTES);
    let crc = crc32(&file[CRC_START..]).to_le_bytes();
    file[CRC_START - 4..CRC_START].copy_from_slice(&crc);
    file
}
