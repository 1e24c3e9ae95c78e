//! Reads IDX files (the MNIST format), gzip or plain. Untrusted bytes: nothing here panics.
//!
//! Layout, big endian: two zero bytes, type 0x08 (u8), rank; one u32 per dimension; the values.

use std::io::Read;
use std::path::Path;

use thiserror::Error;

/// Values of at most this many bytes are read: 4 GiB guards against damaged dimensions.
const MOST: u64 = 1 << 32;

/// What can be wrong with an IDX file.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum IdxError {
    /// The first four bytes are not those of unsigned bytes of the wanted rank.
    #[error("not an IDX file of {wanted}: it starts with {found:02x?}, expected {expected:02x?}")]
    BadMagic {
        /// What the file should hold.
        wanted: &'static str,
        /// First bytes.
        found: Vec<u8>,
        /// Bytes of a right file.
        expected: [u8; 4],
    },
    /// Fewer bytes than the dimensions promise.
    #[error("data ends after {found} of {needed} bytes")]
    Short {
        /// Bytes that the header and its dimensions need.
        needed: u64,
        /// Bytes that are there.
        found: u64,
    },
    /// More bytes than the dimensions promise.
    #[error("{extra} bytes follow the last of the {needed} that the header announces")]
    TooLong {
        /// Bytes that the header and its dimensions need.
        needed: u64,
        /// Bytes beyond.
        extra: u64,
    },
    /// Dimensions that no data set has.
    #[error("the header announces dimensions {0:?}")]
    Dimensions(Vec<u32>),
    /// The gzip stream is damaged.
    #[error("damaged gzip data: {0}")]
    Gzip(String),
    /// The file can't be read.
    #[error("{0}")]
    Io(String),
}

/// Parsed values and their dimensions.
#[derive(Debug, PartialEq, Eq)]
pub struct Idx {
    /// Sizes, slowest first: images are (count, rows, columns).
    pub dims: Vec<usize>,
    /// Row-major values.
    pub values: Vec<u8>,
}

/// Reads a file; `wanted` names its content in errors ("images", "labels").
///
/// # Errors
/// Any [`IdxError`].
pub fn read(path: &Path, rank: u8, wanted: &'static str) -> Result<Idx, IdxError> {
    let bytes = std::fs::read(path).map_err(|e| IdxError::Io(e.to_string()))?;
    parse(&bytes, rank, wanted)
}

/// Parses the bytes of a file, unpacking gzip when they begin with its magic.
///
/// # Errors
/// Any [`IdxError`] but `Io`.
pub fn parse(bytes: &[u8], rank: u8, wanted: &'static str) -> Result<Idx, IdxError> {
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(bytes)
            .take(MOST)
            .read_to_end(&mut plain)
            .map_err(|e| IdxError::Gzip(e.to_string()))?;
        return parse_plain(&plain, rank, wanted);
    }
    parse_plain(bytes, rank, wanted)
}

fn parse_plain(bytes: &[u8], rank: u8, wanted: &'static str) -> Result<Idx, IdxError> {
    let expected = [0, 0, 0x08, rank];
    if bytes.get(..4) != Some(&expected[..]) {
        let found = bytes.iter().take(4).copied().collect();
        return Err(IdxError::BadMagic {
            wanted,
            found,
            expected,
        });
    }
    let header = 4 + 4 * usize::from(rank);
    let found = bytes.len() as u64;
    let Some(sizes) = bytes.get(4..header) else {
        return Err(IdxError::Short {
            needed: header as u64,
            found,
        });
    };
    let dims: Vec<u32> = sizes
        .chunks_exact(4)
        .map(|b| b.iter().fold(0, |n, byte| n << 8 | u32::from(*byte)))
        .collect();
    let count = dims
        .iter()
        .try_fold(1u64, |n, d| n.checked_mul(u64::from(*d)));
    let Some(count) = count.filter(|n| *n > 0 && *n < MOST) else {
        return Err(IdxError::Dimensions(dims));
    };
    let needed = header as u64 + count;
    if found < needed {
        return Err(IdxError::Short { needed, found });
    }
    if found > needed {
        return Err(IdxError::TooLong {
            needed,
            extra: found - needed,
        });
    }
    Ok(Idx {
        dims: dims.into_iter().map(|d| d as usize).collect(),
        values: bytes[header..].to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Vec<u8> {
        let mut b = vec![0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3];
        b.extend(1..=6);
        b
    }

    #[test]
    fn reads_plain_and_gzip_alike() {
        use std::io::Write;
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(&good()).unwrap();
        let packed = parse(&gz.finish().unwrap(), 3, "images").unwrap();
        assert_eq!(packed, parse(&good(), 3, "images").unwrap());
        assert_eq!(
            packed,
            Idx {
                dims: vec![2, 1, 3],
                values: vec![1, 2, 3, 4, 5, 6]
            }
        );
    }

    #[test]
    fn every_cut_and_every_wrong_magic_is_an_error_with_numbers() {
        let b = good();
        for n in 0..b.len() {
            assert!(parse(&b[..n], 3, "images").is_err(), "{n} bytes");
        }
        assert_eq!(
            parse(&b[..20], 3, "images"),
            Err(IdxError::Short {
                needed: 22,
                found: 20
            })
        );
        let text = parse(&b, 1, "labels").unwrap_err().to_string();
        assert!(
            text.contains("labels") && text.contains("[00, 00, 08, 01]"),
            "{text}"
        );
        let mut long = b.clone();
        long.push(0);
        assert_eq!(
            parse(&long, 3, "images"),
            Err(IdxError::TooLong {
                needed: 22,
                extra: 1
            })
        );
        let mut huge = b;
        huge[4..8].fill(0xff);
        huge[8..12].fill(0xff);
        assert!(matches!(
            parse(&huge, 3, "images"),
            Err(IdxError::Dimensions(_))
        ));
    }

    #[test]
    fn damaged_gzip_is_named() {
        let error = parse(&[0x1f, 0x8b, 8, 0, 1, 2, 3], 3, "images").unwrap_err();
        assert!(matches!(error, IdxError::Gzip(_)));
    }
}
