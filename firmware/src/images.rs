//! Test images in one block of bytes. Untrusted bytes: reading never panics.
//!
//! Layout, little endian: `PIMG`, count u16, height u16, width u16, channels u16; then for each
//! image its class (u8) and its pixels (u8, row-major, channels interleaved).

/// Bytes before the first image.
pub const HEADER_BYTES: usize = 12;

/// A block of images.
#[derive(Clone, Copy, Debug)]
pub struct Images<'a> {
    bytes: &'a [u8],
}

impl<'a> Images<'a> {
    /// Reads the block; none where magic or length are wrong.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let images = Self { bytes };
        let whole = HEADER_BYTES + images.len() * images.stride();
        (bytes.starts_with(b"PIMG") && images.stride() > 1 && bytes.len() == whole)
            .then_some(images)
    }

    fn word(&self, at: usize) -> usize {
        let byte = |i| usize::from(self.bytes.get(i).copied().unwrap_or(0));
        byte(at) | byte(at + 1) << 8
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
    pub fn dims(&self) -> [usize; 3] {
        [self.word(6), self.word(8), self.word(10)]
    }

    fn stride(&self) -> usize {
        let [h, w, c] = self.dims();
        1 + h.saturating_mul(w).saturating_mul(c)
    }

    /// Class and pixels of image `index`.
    pub fn get(&self, index: usize) -> Option<(u8, &'a [u8])> {
        let record = self
            .bytes
            .get(HEADER_BYTES..)?
            .chunks_exact(self.stride())
            .nth(index)?;
        let (label, pixels) = record.split_first()?;
        Some((*label, pixels))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: [u8; 18] = *b"PIMG\x02\0\x01\0\x02\0\x01\0\x07ab\x09cd";

    #[test]
    fn images_come_with_their_class() {
        let images = Images::parse(&TWO).unwrap();
        assert_eq!((images.len(), images.dims()), (2, [1, 2, 1]));
        assert_eq!(images.get(0), Some((7, &b"ab"[..])));
        assert_eq!(images.get(1), Some((9, &b"cd"[..])));
        assert_eq!(images.get(2), None);
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
    }
}
