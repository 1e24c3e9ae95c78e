//! Whether a JPEG file is whole (decoders fill what is missing with grey and say nothing), and how
//! its scans are stored.
//!
//! Walks the markers of ITU-T T.81 Annex B up to the end-of-image marker. What follows it is not
//! looked at: cameras append previews and depth maps.

/// What the markers of a file say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Look {
    /// Where the data ends although the image does not: nothing for a whole file, or for one
    /// that is no JPEG (the decoder will say so).
    pub cut: Option<usize>,
    /// Whether a decoder must keep the whole image's coefficients: it is progressive, or its
    /// components come one after the other.
    pub coefficients: bool,
    /// How often the image is gone through.
    pub scans: u32,
}

/// Walks a file's markers.
pub(crate) fn look(bytes: &[u8]) -> Look {
    let mut look = Look::default();
    if !bytes.starts_with(&[0xff, 0xd8]) {
        return look;
    }
    let mut scans = 0;
    let mut at = 2;
    look.cut = loop {
        // To the next marker: 0xff and a byte that is neither stuffing nor fill.
        let Some(skip) = bytes
            .get(at..)
            .and_then(|b| b.iter().position(|b| *b == 0xff))
        else {
            break Some(bytes.len());
        };
        at += skip + 1;
        let Some(marker) = bytes.get(at) else {
            break Some(bytes.len());
        };
        match marker {
            0xff => {}
            0xd9 => break None,
            0x00 | 0x01 | 0xd0..=0xd8 => at += 1,
            _ => {
                let Some(&[high, low]) = bytes.get(at + 1..at + 3) else {
                    break Some(bytes.len());
                };
                scans += u32::from(*marker == 0xda);
                look.scans = scans;
                look.coefficients |= *marker == 0xc2 || scans > 1;
                let length = usize::from(u16::from_be_bytes([high, low]));
                // A segment shorter than its own length field is damage of another kind.
                if length < 2 {
                    break (scans > 0).then_some(at);
                }
                at += 1 + length;
                if at > bytes.len() {
                    break Some(bytes.len());
                }
            }
        }
    };
    look
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut_at(bytes: &[u8]) -> Option<usize> {
        look(bytes).cut
    }

    fn whole() -> Vec<u8> {
        let mut bytes = Vec::new();
        let picture =
            image::RgbImage::from_fn(40, 30, |x, y| image::Rgb([x as u8 * 6, y as u8, 9]));
        image::codecs::jpeg::JpegEncoder::new(&mut bytes)
            .encode_image(&picture)
            .unwrap();
        bytes
    }

    #[test]
    fn every_cut_is_seen_and_what_follows_the_end_is_not() {
        let mut bytes = whole();
        assert_eq!(cut_at(&bytes), None);
        for n in 2..bytes.len() {
            assert!(cut_at(&bytes[..n]).is_some(), "cut at {n}");
        }
        bytes.extend([0xff, 0xd8, 0xff, 1, 2, 3]);
        assert_eq!(cut_at(&bytes), None);
    }

    #[test]
    fn scans_are_counted() {
        let mut bytes = whole();
        assert_eq!(look(&bytes).scans, 1);
        let scan = bytes.windows(2).position(|m| m == [0xff, 0xda]).unwrap();
        let more = [0xff, 0xda, 0, 2].repeat(300);
        bytes.splice(scan..scan, more);
        assert_eq!(look(&bytes).scans, 301);
    }

    #[test]
    fn progressive_files_and_files_of_several_scans_keep_coefficients() {
        let mut bytes = whole();
        assert!(!look(&bytes).coefficients);
        let scan = bytes.windows(2).position(|m| m == [0xff, 0xda]).unwrap();
        let mut twice = bytes.clone();
        twice.splice(scan..scan, [0xff, 0xda, 0, 2]);
        assert!(look(&twice).coefficients);
        let frame = bytes.windows(2).position(|m| m == [0xff, 0xc0]).unwrap();
        bytes[frame + 1] = 0xc2;
        assert!(look(&bytes).coefficients);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(tail in proptest::collection::vec(any::<u8>(), 0..400)) {
            let mut bytes = vec![0xff, 0xd8];
            bytes.extend(tail);
            let end = cut_at(&bytes);
            prop_assert!(end.is_none_or(|n| n <= bytes.len()));
        }
    }
}
