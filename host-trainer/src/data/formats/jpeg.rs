//! Whether a JPEG file is whole: decoders fill what is missing with grey and say nothing.
//!
//! Walks the markers of ITU-T T.81 Annex B up to the end-of-image marker. What follows it is not
//! looked at: cameras append previews and depth maps.

/// Where the data ends although the image does not: `None` for a whole file, or for one that is
/// no JPEG (the decoder will say so).
pub fn cut_at(bytes: &[u8]) -> Option<usize> {
    if !bytes.starts_with(&[0xff, 0xd8]) {
        return None;
    }
    let mut at = 2;
    let mut in_scan = false;
    loop {
        // To the next marker: 0xff and a byte that is neither stuffing nor fill.
        let found = bytes.get(at..)?.iter().position(|b| *b == 0xff);
        let Some(skip) = found else {
            return Some(bytes.len());
        };
        at += skip + 1;
        let Some(marker) = bytes.get(at) else {
            return Some(bytes.len());
        };
        match marker {
            0xff => {}
            0xd9 => return None,
            0x00 | 0x01 | 0xd0..=0xd8 => at += 1,
            _ => {
                let Some(&[high, low]) = bytes.get(at + 1..at + 3) else {
                    return Some(bytes.len());
                };
                in_scan |= *marker == 0xda;
                let length = usize::from(u16::from_be_bytes([high, low]));
                // A segment shorter than its own length field is damage of another kind.
                if length < 2 {
                    return if in_scan { Some(at) } else { None };
                }
                at += 1 + length;
                if at > bytes.len() {
                    return Some(bytes.len());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
