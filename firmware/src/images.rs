//! Test images in one block of bytes. Untrusted bytes: reading never panics.
//!
//! Layout, numbers little endian:
//!
//! | bytes | what |
//! |---|---|
//! | 0..4 | `PIMG` |
//! | 4..6, 6..8, 8..10, 10..12 | count, height, width, channels (u16) |
//! | from 12 | for each image its true class (u8), then its pixels (u8, row-major, interleaved) |

/// The first bytes of every block.
pub const MAGIC: [u8; 4] = *b"PIMG";

/// Bytes before the first image.
pub const HEADER_BYTES: usize = 12;

/// The header of `count` images of `shape` = height, width, channels.
///
/// ```
/// use pupil_firmware::images::{Images, header};
/// let mut block = header(1, [1, 2, 1]).to_vec();
/// block.extend([7, 10, 20]); // class 7, two pixels
/// assert_eq!(Images::parse(&block).unwrap().get(0), Some((7, &[10, 20][..])));
/// ```
pub const fn header(count: u16, shape: [u16; 3]) -> [u8; HEADER_BYTES] {
    let [n, h, w, c] = [
        count.to_le_bytes(),
        shape[0].to_le_bytes(),
        shape[1].to_le_bytes(),
        shape[2].to_le_bytes(),
    ];
    let m = MAGIC;
    [
        m[0], m[1], m[2], m[3], n[0], n[1], h[0], h[1], w[0], w[1], c[0], c[1],
    ]
}

/// A block of images, read in place.
#[derive(Clone, Copy, Debug)]
pub struct Images<'a> {
    bytes: &'a [u8],
}

impl<'a> Images<'a> {
    /// Reads the block; none where magic or length are wrong, or frames would be empty.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let images = Self { bytes };
        let records = images
            .len()
            .checked_mul(images.frame_len().checked_add(1)?)?;
        let whole = records.checked_add(HEADER_BYTES)? == bytes.len();
        (bytes.starts_with(&MAGIC) && images.frame_len() > 0 && whole).then_some(images)
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.word(4)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Height, width, channels.
    pub fn shape(&self) -> [usize; 3] {
        [self.word(6), self.word(8), self.word(10)]
    }

    /// Bytes of one image's pixels.
    pub fn frame_len(&self) -> usize {
        let [h, w, c] = self.shape();
        h.saturating_mul(w).saturating_mul(c)
    }

    /// Class and pixels of image `index`.
    pub fn get(&self, index: usize) -> Option<(u8, &'a [u8])> {
        let stride = self.frame_len().checked_add(1)?;
        let record = self
            .bytes
            .get(HEADER_BYTES..)?
            .chunks_exact(stride)
            .nth(index)?;
        let (label, pixels) = record.split_first()?;
        Some((*label, pixels))
    }

    /// All images in order.
    pub fn iter(&self) -> impl Iterator<Item = (u8, &'a [u8])> + use<'a> {
        let images = *self;
        (0..images.len()).filter_map(move |i| images.get(i))
    }

    fn word(&self, at: usize) -> usize {
        let byte = |i| usize::from(self.bytes.get(i).copied().unwrap_or(0));
        byte(at) | byte(at + 1) << 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: [u8; 18] = *b"PIMG\x02\0\x01\0\x02\0\x01\0\x07ab\x09cd";

    #[test]
    fn images_come_with_their_class() {
        let images = Images::parse(&TWO).unwrap();
        assert_eq!(
            (images.len(), images.shape(), images.frame_len()),
            (2, [1, 2, 1], 2)
        );
        assert!(images.iter().eq([(7, &b"ab"[..]), (9, &b"cd"[..])]));
        assert_eq!(images.get(2), None);
        assert_eq!(header(2, [1, 2, 1]), TWO[..HEADER_BYTES]);
    }

    #[test]
    fn cuts_and_wrong_magic_are_refused() {
        for n in 0..TWO.len() {
            assert!(Images::parse(&TWO[..n]).is_none(), "{n}");
        }
        let mut other = TWO;
        other[0] = b'X';
        assert!(Images::parse(&other).is_none());
        assert!(Images::parse(b"PIMG\xff\xff\xff\xff\xff\xff\xff\xff").is_none());
        assert!(Images::parse(&header(3, [0, 5, 1])).is_none());
    }

    #[test]
    fn the_committed_block_fits_the_committed_models() {
        let images = Images::parse(include_bytes!("../model/images.bin")).unwrap();
        assert_eq!((images.len(), images.shape()), (32, [28, 28, 1]));
        assert!(images.iter().all(|(label, _)| label < 10));
    }
}
