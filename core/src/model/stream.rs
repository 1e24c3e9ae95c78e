//! Records of streams: layers that run together, a few rows at a time. Decoded on access; see
//! `FORMAT.md`.

use super::bytes::{part, u8_at, u16_at, u32_at};
use super::format::{LAYER_BYTES, LINK_BYTES, MAX_LAYERS, STREAM_BYTES, code, header};
use super::header::Model;
use crate::stream::{LinkRecord, LinkShape, Stream};

/// Values of the byte that says whose place a link's output takes: none's, its first input's, its
/// second one's.
pub const PLACES: [u8; 3] = [0, 1, 2];

/// A stream: the layers `at..end`, and layers before them that are computed again.
#[derive(Clone, Copy, Debug)]
pub struct StreamRecord<'a> {
    /// First layer that runs here for the first time; the stream runs in its place.
    pub at: usize,
    /// One past the last layer.
    pub end: usize,
    /// Rows of the frame that are kept; 0 where the frame lies whole in the arena, or is not read.
    pub frame_rows: usize,
    links: &'a [u8],
    /// Offset of the next record.
    pub next: usize,
}

impl StreamRecord<'_> {
    /// The links in order.
    pub fn links(&self) -> impl Iterator<Item = LinkRecord> + '_ {
        self.links.chunks_exact(LINK_BYTES).map(|bytes| LinkRecord {
            layer: usize::from(u16_at(bytes, 0)),
            band: usize::from(u16_at(bytes, 2)),
            capacity: usize::from(u16_at(bytes, 4)),
            replaces: u8_at(bytes, 6),
            reserved: u8_at(bytes, 7),
            offset: u32_at(bytes, 8) as usize,
        })
    }

    /// Whether `layer` runs here for the first time.
    pub fn has(&self, layer: usize) -> bool {
        (self.at..self.end).contains(&layer)
    }
}

impl<'a> Model<'a> {
    /// Bytes of all stream records, whose first lies behind the layer records.
    pub fn streams_len(&self) -> usize {
        4 * usize::from(u16_at(self.bytes, header::STREAM_WORDS))
    }

    /// The record at byte `at` of the streams; none at their end or where it is cut off.
    pub fn stream_at(&self, at: usize) -> Option<StreamRecord<'a>> {
        if at >= self.streams_len() {
            return None;
        }
        let begin = (u32_at(self.bytes, header::LAYERS_AT) as usize)
            .checked_add(self.layer_count().checked_mul(LAYER_BYTES)?)?;
        let all = part(self.bytes, begin, self.streams_len())?;
        let head = part(all, at, STREAM_BYTES)?;
        let field = |i| usize::from(u16_at(head, i));
        let len = LINK_BYTES * field(4);
        Some(StreamRecord {
            at: field(0),
            end: field(2),
            frame_rows: field(6),
            links: part(all, at + STREAM_BYTES, len)?,
            next: at + STREAM_BYTES + len,
        })
    }

    /// The streams in order.
    pub fn streams(&self) -> impl Iterator<Item = StreamRecord<'a>> + use<'a> {
        let (model, mut at) = (*self, 0);
        core::iter::from_fn(move || {
            let stream = model.stream_at(at)?;
            at = stream.next;
            Some(stream)
        })
    }

    /// The stream in which `layer` runs for the first time.
    pub fn stream_of(&self, layer: usize) -> Option<StreamRecord<'a>> {
        self.streams().find(|s| s.has(layer))
    }

    /// Whether the model reads its frame a few rows at a time: see
    /// [`Interpreter::feed`](crate::interpreter::Interpreter::feed).
    pub fn reads_rows(&self) -> bool {
        self.stream_at(0).is_some_and(|s| s.frame_rows > 0)
    }

    /// Whether only a few rows of a tensor exist at a time.
    pub fn is_streamed(&self, tensor: usize) -> bool {
        match tensor.checked_sub(1) {
            None => self.reads_rows(),
            Some(layer) => self.stream_of(layer).is_some_and(|s| s.end != tensor),
        }
    }
}

/// Streams between their marks.
const STEP: usize = 64;

/// Which tensors exist a few rows at a time, and where stream records lie: so that checks look neither
/// up by going through all streams. 172 bytes.
pub struct StreamIndex {
    /// A bit a tensor.
    streamed: [u32; MAX_LAYERS / 32 + 1],
    /// Offset of every [`STEP`]th stream, divided by 4.
    marks: [u16; MAX_LAYERS / STEP],
    len: usize,
}

impl StreamIndex {
    /// Of a model whose stream records have been checked.
    #[inline(never)]
    pub fn new(model: &Model<'_>) -> Self {
        let mut index = Self {
            streamed: [0; MAX_LAYERS / 32 + 1],
            marks: [0; MAX_LAYERS / STEP],
            len: 0,
        };
        let mut at = 0;
        while let Some(stream) = model.stream_at(at) {
            let mark = index.marks.get_mut(index.len / STEP);
            if let Some(mark) = mark.filter(|_| index.len.is_multiple_of(STEP)) {
                *mark = (at / 4) as u16;
            }
            if stream.frame_rows > 0 {
                index.set(0);
            }
            for layer in stream.at..stream.end - 1 {
                index.set(layer + 1);
            }
            (index.len, at) = (index.len + 1, stream.next);
        }
        index
    }

    fn set(&mut self, tensor: usize) {
        if let Some(word) = self.streamed.get_mut(tensor / 32) {
            *word |= 1 << (tensor % 32);
        }
    }

    /// [`Model::is_streamed`].
    pub fn is_streamed(&self, tensor: usize) -> bool {
        let word = self.streamed.get(tensor / 32);
        word.is_some_and(|w| w >> (tensor % 32) & 1 == 1)
    }

    /// Number of streams.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Stream `k`.
    pub fn get<'a>(&self, model: &Model<'a>, k: usize) -> Option<StreamRecord<'a>> {
        let mark = self.marks.get(k / STEP).filter(|_| k < self.len)?;
        let mut stream = model.stream_at(4 * usize::from(*mark))?;
        for _ in 0..k % STEP {
            stream = model.stream_at(stream.next)?;
        }
        Some(stream)
    }
}

impl LinkShape {
    /// Of a layer whose record has been checked.
    pub fn of(model: &Model<'_>, layer: usize) -> Self {
        let record = model.record(layer).unwrap_or_default();
        let inputs = record.inputs();
        let (input, output) = (
            model.tensor(inputs[0].unwrap_or(0)),
            model.tensor(layer + 1),
        );
        let window = matches!(
            record.operator,
            code::CONV | code::DEPTHWISE | code::AVERAGE_POOL | code::MAX_POOL
        );
        let [kernel, _, stride, _, pad, _] = if window {
            record.window
        } else {
            [1, 1, 1, 1, 0, 0]
        };
        let rows = if record.operator == code::MEAN {
            input.shape.h
        } else {
            output.shape.h
        };
        Self {
            inputs,
            kernel,
            stride,
            pad,
            height: input.shape.h as u16,
            rows: rows as u16,
            row_len: (output.shape.w * output.shape.c) as u32,
        }
    }
}

impl Stream {
    /// Becomes a stream at its beginning; none where it has more than
    /// [`MAX_LINKS`](crate::stream::MAX_LINKS) links. In place: a chip's stack holds one of these half
    /// kilobytes, not three.
    #[inline(never)]
    pub fn begin(&mut self, model: &Model<'_>, record: &StreamRecord<'_>) -> Option<()> {
        self.clear();
        if record.frame_rows > 0 {
            let frame = model.tensor(0);
            self.add_frame(frame.shape, frame.offset, record.frame_rows)?;
        }
        for link in record.links() {
            self.add(LinkShape::of(model, link.layer), &link)?;
        }
        self.end_at(model.tensor(record.end).offset)
    }
}
