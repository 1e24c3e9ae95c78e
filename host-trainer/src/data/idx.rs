//! Reads IDX files (the MNIST format), gzip or plain. Untrusted bytes: nothing here panics.
//!
//! Layout, big endian: two zero bytes, type 0x08 (u8), rank; one u32 per dimension; the values.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use thiserror::Error;

use super::memory::{Budget, TooLarge};
use crate::util::regular;

/// Values of at most this many bytes are read: 4 GiB guards against damaged dimensions.
const MOST: u64 = 1 << 32;
/// Pictures shrink a few times; what unpacks to so many times its size holds none.
const MOST_RATIO: u64 = 500;
/// Small files may shrink more.
const FREE: u64 = 64 << 20;
/// Bytes after the end that are counted.
const COUNTED: u64 = 1 << 20;

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
    /// A packed file of next to nothing.
    #[error("the header announces {needed} bytes, more than 500 times the {packed} of the file")]
    Hollow {
        /// Bytes that the header announces.
        needed: u64,
        /// Bytes of the file.
        packed: u64,
    },
    /// More memory than there is.
    #[error("{0}")]
    Memory(#[from] TooLarge),
    /// The gzip stream is damaged.
    #[error("damaged gzip data: {0}")]
    Gzip(String),
    /// The file can't be read.
    #[error("{0}")]
    Io(String),
}

/// Parsed values and their dimensions.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Idx {
    /// Sizes, slowest first: images are (count, rows, columns).
    pub dims: Vec<usize>,
    /// Row-major values.
    pub values: Vec<u8>,
}

/// Values that are read as they are needed.
pub(crate) struct Stream<R> {
    /// Sizes, slowest first.
    pub dims: Vec<usize>,
    source: Source<R>,
    /// Bytes of header and values.
    needed: u64,
    /// Values that are not read yet.
    left: u64,
}

enum Source<R> {
    Plain(R),
    Packed(flate2::bufread::GzDecoder<R>),
}

impl<R: std::io::BufRead> Source<R> {
    /// Fills `bytes`, or its first part where the data ends before.
    fn fill(&mut self, bytes: &mut [u8]) -> Result<usize, IdxError> {
        let mut filled = 0;
        while filled < bytes.len() {
            let n = match self {
                Self::Plain(file) => match file.read(&mut bytes[filled..]) {
                    Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                    read => read.map_err(|e| IdxError::Io(e.to_string()))?,
                },
                Self::Packed(file) => file
                    .read(&mut bytes[filled..])
                    .map_err(|e| IdxError::Gzip(e.to_string()))?,
            };
            if n == 0 {
                break;
            }
            filled += n;
        }
        Ok(filled)
    }
}

/// Opens a regular file; `wanted` names its content in errors ("images", "labels").
///
/// # Errors
/// Any [`IdxError`] that the header shows.
pub(crate) fn open(
    path: &Path,
    rank: u8,
    wanted: &'static str,
) -> Result<Stream<BufReader<File>>, IdxError> {
    let io = |e: std::io::Error| IdxError::Io(e.to_string());
    let (file, metadata) = regular::open(path).map_err(io)?;
    let file = BufReader::with_capacity(1 << 16, file);
    Stream::new(file, metadata.len(), (rank, wanted))
}

/// Reads a whole file.
///
/// # Errors
/// Any [`IdxError`].
pub(crate) fn read(path: &Path, rank: u8, wanted: &'static str) -> Result<Idx, IdxError> {
    open(path, rank, wanted)?.all()
}

/// Parses the bytes of a file, unpacking gzip when they begin with its magic.
///
/// # Errors
/// Any [`IdxError`] but `Io`.
pub(crate) fn parse(bytes: &[u8], rank: u8, wanted: &'static str) -> Result<Idx, IdxError> {
    Stream::new(bytes, bytes.len() as u64, (rank, wanted))?.all()
}

impl<R: std::io::BufRead> Stream<R> {
    /// Reads the header of a file of `length` bytes.
    fn new(mut file: R, length: u64, (rank, wanted): (u8, &'static str)) -> Result<Self, IdxError> {
        let start = file.fill_buf().map_err(|e| IdxError::Io(e.to_string()))?;
        let packed = start.starts_with(&[0x1f, 0x8b]);
        let mut source = if packed {
            Source::Packed(flate2::bufread::GzDecoder::new(file))
        } else {
            Source::Plain(file)
        };
        let expected = [0, 0, 0x08, rank];
        let mut header = vec![0; 4 + 4 * usize::from(rank)];
        let found = source.fill(&mut header)?;
        if found < 4 || header[..4] != expected {
            return Err(IdxError::BadMagic {
                wanted,
                found: header[..found.min(4)].to_vec(),
                expected,
            });
        }
        if found < header.len() {
            return Err(IdxError::Short {
                needed: header.len() as u64,
                found: found as u64,
            });
        }
        let dims: Vec<u32> = header[4..]
            .as_chunks::<4>()
            .0
            .iter()
            .map(|b| u32::from_be_bytes(*b))
            .collect();
        let count = dims
            .iter()
            .try_fold(1u64, |n, d| n.checked_mul(u64::from(*d)));
        let Some(left) = count.filter(|n| *n > 0 && *n < MOST) else {
            return Err(IdxError::Dimensions(dims));
        };
        let needed = header.len() as u64 + left;
        if packed && needed > length.saturating_mul(MOST_RATIO).saturating_add(FREE) {
            let packed = length;
            return Err(IdxError::Hollow { needed, packed });
        }
        Ok(Self {
            dims: dims.into_iter().map(|d| d as usize).collect(),
            source,
            needed,
            left,
        })
    }

    /// Fills `values` with the next ones. With the last of all the file must end too.
    ///
    /// # Errors
    /// Too few values, too many, damage.
    pub(crate) fn fill(&mut self, values: &mut [u8]) -> Result<(), IdxError> {
        let wanted = (values.len() as u64).min(self.left);
        let found = self.source.fill(&mut values[..wanted as usize])? as u64;
        if found < values.len() as u64 {
            return Err(IdxError::Short {
                needed: self.needed,
                found: self.needed - self.left + found,
            });
        }
        self.left -= found;
        if self.left > 0 {
            return Ok(());
        }
        // Reading on also checks the sum at the end of packed data.
        let (mut extra, mut rest) = (0, [0; 4096]);
        while extra < COUNTED {
            match self.source.fill(&mut rest)? {
                0 => break,
                n => extra += n as u64,
            }
        }
        if extra > 0 {
            let needed = self.needed;
            return Err(IdxError::TooLong { needed, extra });
        }
        Ok(())
    }

    /// All values.
    ///
    /// # Errors
    /// As [`Self::fill`]; more memory than there is.
    pub(crate) fn all(mut self) -> Result<Idx, IdxError> {
        // A short plain file is told before room is made for what is not there.
        Budget::shared().check(self.left)?;
        let mut values = Vec::new();
        while self.left > 0 {
            let at = values.len();
            values.resize(at + self.left.min(1 << 20) as usize, 0);
            self.fill(&mut values[at..])?;
        }
        Ok(Idx {
            dims: self.dims,
            values,
        })
    }
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
    fn seventeen_megabytes_that_announce_eight_gigabytes_are_refused() {
        use std::io::Write;
        let mut header = vec![0, 0, 8, 3];
        for d in [1_000_000u32, 28, 28] {
            header.extend(d.to_be_bytes());
        }
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(&header).unwrap();
        gz.write_all(&vec![0; 1 << 20]).unwrap();
        let error = parse(&gz.finish().unwrap(), 3, "images").unwrap_err();
        let text = error.to_string();
        assert!(text.contains("784000016 bytes"), "{text}");
    }

    #[test]
    fn damaged_gzip_is_named() {
        let error = parse(&[0x1f, 0x8b, 8, 0, 1, 2, 3], 3, "images").unwrap_err();
        assert!(matches!(error, IdxError::Gzip(_)));
    }
}
