//! Records of a packed model: tensors, layers and streams, with whatever their fields hold.

/// Operator codes.
pub mod code {
    #![allow(missing_docs)] // the names of FORMAT.md
    pub const CONV: u8 = 1;
    pub const DEPTHWISE: u8 = 2;
    pub const DENSE: u8 = 3;
    pub const AVERAGE_POOL: u8 = 4;
    pub const MAX_POOL: u8 = 5;
    pub const MEAN: u8 = 6;
    pub const ADD: u8 = 7;
    pub const MUL: u8 = 8;
    pub const LOOKUP: u8 = 9;
    pub const SOFTMAX: u8 = 10;
}

/// Second input of layers that have one input.
pub const NONE: u16 = u16::MAX;

/// A tensor record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tensor {
    /// Height, width, channels.
    pub shape: [u16; 3],
    /// Zero point.
    pub zero_point: i8,
    /// 0 in valid files.
    pub reserved: u8,
    /// Scale.
    pub scale: f32,
    /// Offset in the arena.
    pub offset: u32,
}

impl Tensor {
    /// Its values.
    pub fn len(&self) -> usize {
        self.shape.iter().map(|n| usize::from(*n)).product()
    }

    /// Whether it has no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Values of a row.
    pub fn row(&self) -> usize {
        usize::from(self.shape[1]) * usize::from(self.shape[2])
    }
}

/// A layer record. Offsets of sections that it does not use are 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Layer {
    /// Operator code.
    pub code: u8,
    /// Bit 0: a table is fused.
    pub flags: u8,
    /// Input tensors.
    pub inputs: [u16; 2],
    /// Kernel height and width, strides down and right, rows above, columns to the left.
    pub window: [u8; 6],
    /// Zero point of the sums, lower and upper clamp.
    pub output: [i8; 3],
    /// Layout of the weights.
    pub layout: u8,
    /// Offsets of weights, channel records, table, constants.
    pub sections: [u32; 4],
    /// Offset and bytes of its scratch memory.
    pub scratch: [u32; 2],
}

/// A node of a stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Link {
    /// Which layer.
    pub layer: u16,
    /// Most rows at a time.
    pub band: u16,
    /// Rows that are kept.
    pub capacity: u16,
    /// Whose place the output takes.
    pub replaces: u8,
    /// 0 in valid files.
    pub reserved: u8,
    /// Offset of the rows in the arena.
    pub offset: u32,
}

/// Layers that run together.
#[derive(Clone, Debug, PartialEq)]
pub struct Stream {
    /// First layer and one past the last.
    pub layers: [u16; 2],
    /// Rows of the frame that are kept.
    pub frame_rows: u16,
    /// The nodes.
    pub links: Vec<Link>,
}

/// The `N` bytes at `at`.
pub(super) fn bytes<const N: usize>(from: &[u8], at: usize) -> Option<[u8; N]> {
    from.get(at..)?.first_chunk().copied()
}

/// The u16 at `at`.
pub(super) fn half(from: &[u8], at: usize) -> Option<u16> {
    bytes(from, at).map(u16::from_le_bytes)
}

/// The u32 at `at`.
pub(super) fn word(from: &[u8], at: usize) -> Option<u32> {
    bytes(from, at).map(u32::from_le_bytes)
}

/// All streams.
pub(super) fn read_streams(mut bytes: &[u8]) -> Option<Vec<Stream>> {
    let mut streams = Vec::new();
    while !bytes.is_empty() {
        let count = usize::from(half(bytes, 4)?);
        let links = bytes.get(8..8 + 12 * count)?;
        streams.push(Stream {
            layers: [half(bytes, 0)?, half(bytes, 2)?],
            frame_rows: half(bytes, 6)?,
            links: links.chunks(12).map(Link::read).collect::<Option<_>>()?,
        });
        bytes = &bytes[8 + 12 * count..];
    }
    Some(streams)
}

impl Tensor {
    pub(super) fn read(from: &[u8]) -> Option<Self> {
        Some(Self {
            shape: [half(from, 0)?, half(from, 2)?, half(from, 4)?],
            zero_point: *from.get(6)? as i8,
            reserved: *from.get(7)?,
            scale: f32::from_bits(word(from, 8)?),
            offset: word(from, 12)?,
        })
    }

    pub(super) fn write(&self, to: &mut Vec<u8>) {
        to.extend(self.shape.iter().flat_map(|n| n.to_le_bytes()));
        to.extend([self.zero_point as u8, self.reserved]);
        to.extend(self.scale.to_le_bytes());
        to.extend(self.offset.to_le_bytes());
    }
}

impl Layer {
    pub(super) fn read(from: &[u8]) -> Option<Self> {
        let words = |at: usize| word(from, at);
        Some(Self {
            code: *from.first()?,
            flags: *from.get(1)?,
            inputs: [half(from, 2)?, half(from, 4)?],
            window: bytes(from, 6)?,
            output: bytes::<3>(from, 12)?.map(|b| b as i8),
            layout: *from.get(15)?,
            sections: [words(16)?, words(20)?, words(24)?, words(28)?],
            scratch: [words(32)?, words(36)?],
        })
    }

    pub(super) fn write(&self, to: &mut Vec<u8>) {
        to.extend([self.code, self.flags]);
        to.extend(self.inputs.iter().flat_map(|n| n.to_le_bytes()));
        to.extend(self.window);
        to.extend(self.output.map(|n| n as u8));
        to.push(self.layout);
        let words = self.sections.iter().chain(&self.scratch);
        to.extend(words.flat_map(|n| n.to_le_bytes()));
    }
}

impl Link {
    fn read(from: &[u8]) -> Option<Self> {
        Some(Self {
            layer: half(from, 0)?,
            band: half(from, 2)?,
            capacity: half(from, 4)?,
            replaces: *from.get(6)?,
            reserved: *from.get(7)?,
            offset: word(from, 8)?,
        })
    }
}

impl Stream {
    pub(super) fn write(&self, to: &mut Vec<u8>) {
        let [at, end] = self.layers;
        for n in [at, end, self.links.len() as u16, self.frame_rows] {
            to.extend(n.to_le_bytes());
        }
        for link in &self.links {
            for n in [link.layer, link.band, link.capacity] {
                to.extend(n.to_le_bytes());
            }
            to.extend([link.replaces, link.reserved]);
            to.extend(link.offset.to_le_bytes());
        }
    }
}
