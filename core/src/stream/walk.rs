//! Which layer of a stream makes which rows next, and where they lie.

use crate::op::shape::Shape;

/// Most layers of a stream, the frame counted as one.
pub const MAX_LINKS: usize = 16;

/// The layer number of the camera, which makes the frame's rows.
pub const FRAME: u16 = u16::MAX;

/// No link.
const NONE: u8 = u8::MAX;

/// A layer in a stream.
#[derive(Clone, Copy, Debug)]
pub struct LinkRecord {
    /// Which layer.
    pub layer: usize,
    /// Most rows that it makes at a time.
    pub band: usize,
    /// Rows of its output that are kept; 0 for a whole output, and where it has no place of its own.
    pub capacity: usize,
    /// Whose place the output takes: none's, its first input's, its second one's.
    pub replaces: u8,
    /// Of no use yet.
    pub reserved: u8,
    /// First byte of the rows that are kept, or of a mean's sums.
    pub offset: usize,
}

/// Rows that move to the front of their buffer: bytes of the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shift {
    /// First byte that moves.
    pub from: usize,
    /// Where it moves to.
    pub to: usize,
    /// How many bytes move.
    pub len: usize,
}

/// A layer of a stream.
#[derive(Clone, Copy, Debug, Default)]
pub struct Link {
    /// Its number, or [`FRAME`].
    pub layer: u16,
    /// Links that it reads; [`NONE`] for whole tensors and where it has no second input.
    sources: [u8; 2],
    kernel: u8,
    stride: u8,
    pad: u8,
    /// Number of the input, from 1 on, whose place its output takes; 0 for a place of its own.
    replaces: u8,
    /// Rows of its input.
    height: u16,
    /// Rows that it makes; those that it reads, where it makes a mean.
    pub rows: u16,
    /// Most rows at a time.
    pub band: u16,
    /// Rows of its output that are kept; 0 for all.
    pub capacity: u16,
    /// Rows made so far.
    pub made: u16,
    /// Bytes of an output row.
    pub row_len: u32,
    /// First byte of its output in the arena.
    pub at: u32,
    /// The row that lies at [`Link::at`]: above the image where rows of padding are made.
    pub base: i32,
}

/// What a link needs to know of its layer.
#[derive(Clone, Copy, Debug, Default)]
pub struct LinkShape {
    /// First and second input tensor.
    pub inputs: [Option<usize>; 2],
    /// Kernel height.
    pub kernel: u8,
    /// Stride down.
    pub stride: u8,
    /// Rows above the image.
    pub pad: u8,
    /// Rows of the input.
    pub height: u16,
    /// Rows that it makes; those that it reads, where it makes a mean.
    pub rows: u16,
    /// Bytes of an output row.
    pub row_len: u32,
}

/// A stream on its way.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stream {
    links: [Link; MAX_LINKS],
    len: usize,
    /// First byte of the sums of a mean at the end.
    sums: u32,
}

impl Stream {
    /// No link.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// The camera, whose frames of `shape` are read as they come: `rows` of them are kept, from byte
    /// `offset` of the arena on. None where there are [`MAX_LINKS`] links.
    pub fn add_frame(&mut self, shape: Shape, offset: usize, rows: usize) -> Option<()> {
        self.push(Link {
            layer: FRAME,
            sources: [NONE; 2],
            stride: 1,
            kernel: 1,
            rows: shape.h as u16,
            band: u16::MAX,
            capacity: rows as u16,
            row_len: (shape.w * shape.c) as u32,
            at: offset as u32,
            ..Link::default()
        })
    }

    /// The last layer's output lies whole at byte `output` of the arena; a mean keeps its sums where
    /// its rows would be. None where there is no link.
    pub fn end_at(&mut self, output: usize) -> Option<()> {
        let (last, _) = self.links.get_mut(..self.len)?.split_last_mut()?;
        self.sums = last.at;
        last.at = output as u32;
        Some(())
    }

    fn push(&mut self, link: Link) -> Option<()> {
        *self.links.get_mut(self.len)? = link;
        self.len += 1;
        Some(())
    }

    /// Appends a layer. Rows above the image are part of a buffer whose reader writes in place: each
    /// of its bands then begins where its input does.
    pub fn add(&mut self, shape: LinkShape, link: &LinkRecord) -> Option<()> {
        let source = |tensor: Option<usize>| {
            let layer = tensor?.checked_sub(1).map_or(FRAME, |l| l as u16);
            self.links[..self.len].iter().position(|l| l.layer == layer)
        };
        let sources = shape.inputs.map(|t| source(t).map_or(NONE, |s| s as u8));
        if link.replaces == 1
            && let Some(owner) = self.links.get_mut(usize::from(sources[0]))
        {
            owner.base = -i32::from(shape.pad);
        }
        self.push(Link {
            layer: link.layer as u16,
            sources,
            kernel: shape.kernel,
            stride: shape.stride,
            pad: shape.pad,
            replaces: link.replaces,
            height: shape.height,
            rows: shape.rows,
            band: link.band as u16,
            capacity: link.capacity as u16,
            made: 0,
            row_len: shape.row_len,
            at: link.offset as u32,
            base: 0,
        })
    }

    /// The links so far.
    pub fn links(&self) -> &[Link] {
        self.links.get(..self.len).unwrap_or(&[])
    }

    /// The link at `k`; the last place where there is none.
    pub fn link(&self, k: usize) -> &Link {
        &self.links[k.min(MAX_LINKS - 1)]
    }

    /// The links that link `k` reads, in order of inputs.
    pub fn sources(&self, k: usize) -> [Option<usize>; 2] {
        self.link(k)
            .sources
            .map(|s| (s != NONE).then_some(usize::from(s)))
    }

    /// The link whose place link `k` writes to.
    pub fn owner(&self, k: usize) -> Option<usize> {
        let [first, second] = self.sources(k);
        match self.link(k).replaces {
            0 => None,
            1 => first,
            _ => second,
        }
    }

    /// First input row of link `k`'s next band; above the image below 0.
    pub fn first(&self, k: usize) -> i32 {
        let link = self.link(k);
        i32::from(link.made) * i32::from(link.stride) - i32::from(link.pad)
    }

    /// One past the last input row that link `k` reads for `n` rows.
    pub fn end(&self, k: usize, n: usize) -> i32 {
        let link = self.link(k);
        let last = (i32::from(link.made) + n as i32 - 1) * i32::from(link.stride);
        (last - i32::from(link.pad) + i32::from(link.kernel)).min(i32::from(link.height))
    }

    /// Readers of link `j`.
    fn readers(&self, j: usize) -> impl Iterator<Item = usize> + '_ {
        let j = j as u8;
        (0..self.len).filter(move |k| self.links[*k].sources.contains(&j))
    }

    /// First row of link `j` that somebody still needs, no greater than the next one to be made.
    pub fn low(&self, j: usize) -> i32 {
        let link = self.link(j);
        let made = i32::from(link.made);
        let wanted = self
            .readers(j)
            .filter(|k| self.links[*k].made < self.links[*k].rows)
            .map(|k| self.first(k));
        wanted.fold(made, i32::min).max(link.base)
    }

    /// Which link runs next, and how many rows it makes. None when all is done.
    pub fn next(&self) -> Option<(usize, usize)> {
        let mut k = self.len.checked_sub(1)?;
        let last = self.link(k);
        let mut n = i32::from(last.rows - last.made.min(last.rows)).min(i32::from(last.band));
        if n <= 0 {
            return None;
        }
        // A link reads links before it: this comes to an end.
        'pull: loop {
            let end = self.end(k, n as usize);
            for j in self.sources(k).into_iter().flatten() {
                let source = self.link(j);
                let lacks = end - i32::from(source.made);
                if lacks > 0 && j < k {
                    (k, n) = (j, lacks.min(i32::from(source.band)));
                    continue 'pull;
                }
            }
            return Some((k, n as usize));
        }
    }

    /// Rows that link `k`'s buffer would hold with `n` more, those that nobody needs left out.
    pub fn held(&self, k: usize, n: usize) -> usize {
        (i32::from(self.link(k).made) + n as i32 - self.low(k)).max(0) as usize
    }

    /// Finds the place of `n` more rows of link `k`; the rows that move for it.
    pub fn room(&mut self, k: usize, n: usize) -> Option<Shift> {
        let (low, link) = (self.low(k), *self.link(k));
        let made = i32::from(link.made);
        if let Some(owner) = self.owner(k) {
            let at = self.address(owner, self.first(k)) as u32;
            let link = &mut self.links[k.min(MAX_LINKS - 1)];
            (link.at, link.base) = (at, made);
            return None;
        }
        if link.capacity == 0 || made - link.base + n as i32 <= i32::from(link.capacity) {
            return None;
        }
        let from = self.address(k, low);
        self.links[k.min(MAX_LINKS - 1)].base = low;
        Some(Shift {
            from,
            to: link.at as usize,
            len: (made - low).max(0) as usize * link.row_len as usize,
        })
    }

    /// First byte in the arena of `row` of link `k`'s output.
    pub fn address(&self, k: usize, row: i32) -> usize {
        let link = self.link(k);
        let rows = row.saturating_sub(link.base).max(0) as usize;
        (link.at as usize).saturating_add(rows.saturating_mul(link.row_len as usize))
    }

    /// Link `k` has made `n` rows.
    pub fn made(&mut self, k: usize, n: usize) {
        let link = &mut self.links[k.min(MAX_LINKS - 1)];
        link.made = link.made.saturating_add(n as u16).min(link.rows);
    }

    /// Whether every row has been made.
    pub fn is_done(&self) -> bool {
        self.links().last().is_none_or(|l| l.made >= l.rows)
    }

    /// Whether nobody needs what lies in link `j`'s buffer in the place of its rows: the outputs of
    /// readers that work in place, and of theirs.
    pub fn is_settled(&self, j: usize) -> bool {
        let root = |mut k: usize| {
            while let Some(owner) = self.owner(k) {
                k = owner;
            }
            k
        };
        (0..self.len).all(|k| {
            let guest = self.links[k].replaces > 0 && root(k) == root(j);
            !guest || self.low(k) >= i32::from(self.links[k].made)
        })
    }

    /// Bytes of the arena that hold the sums of a mean at the end.
    pub fn sums(&self) -> core::ops::Range<usize> {
        let (at, channels) = (
            self.sums as usize,
            self.links().last().map_or(0, |l| l.row_len),
        );
        at..at.saturating_add(4 * channels as usize)
    }

    /// Readers of link `j`, counted.
    pub fn reader_count(&self, j: usize) -> usize {
        self.readers(j).count()
    }
}
