//! One immutable file of decoded images.
//!
//! Layout, little endian: a header of 64 bytes (`PUPC`, version, height, width, channels, fit as
//! u32; count as u64; CRC-32 of the index; CRC-32 of the header before it; zeros), the pixels of
//! all images, then the index, 68 bytes an image: key (32), CRC-32 of its pixels, sum of its
//! pixels, difference hash (16), height, width and channels of the original (u32 each).

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, Once, OnceLock, PoisonError};

use rayon::prelude::*;

use super::entry::Entry;
use super::restore::restore;
use crate::data::fit::Fit;
use crate::data::memory::Budget;
use crate::util::{console, regular};

const MAGIC: [u8; 4] = *b"PUPC";
const VERSION: u32 = 1;
/// Bytes before the pixels.
pub(super) const HEADER: usize = 64;
const RECORD: usize = 68;

#[derive(Debug)]
struct Inner {
    file: File,
    path: PathBuf,
    dims: [usize; 3],
    fit: Fit,
    entries: Vec<Entry>,
    /// The photo of each row, where it has a file of its own.
    origins: Mutex<HashMap<u32, Arc<Path>>>,
    restored: Once,
    failure: OnceLock<String>,
}

/// A whole segment; copies share the open file.
#[derive(Clone, Debug)]
pub struct Segment(Arc<Inner>);

/// Why a segment can't be used.
#[derive(Debug)]
pub enum SegmentError {
    /// What is wrong with its content: it is of no use any more.
    Damaged(String),
    /// The system's reason, which may pass: the file stays.
    Io(io::Error),
}

impl From<io::Error> for SegmentError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Segment {
    /// Opens a segment and verifies header and index. Memory: the index.
    ///
    /// # Errors
    /// What is damaged.
    pub fn open(path: &Path, dims: [usize; 3], fit: Fit) -> Result<Self, SegmentError> {
        let damaged = |why: &str| Err(SegmentError::Damaged(why.to_owned()));
        let (file, metadata) = regular::open(path)?;
        let length = metadata.len();
        if length < HEADER as u64 {
            return damaged("it is shorter than its header");
        }
        let mut header = [0; HEADER];
        read_at(&file, &mut header, 0)?;
        let word = |i: usize| {
            let b = &header[4 * i..4 * i + 4];
            u32::from_le_bytes([b[0], b[1], b[2], b[3]])
        };
        if word(9) != crc32fast::hash(&header[..36]) {
            return damaged("its header does not match its CRC-32");
        }
        let count = u64::from(word(6)) | u64::from(word(7)) << 32;
        if header[..32] != head(dims, fit, count)[..32] {
            return damaged("it holds images of another kind or version");
        }
        let stride: usize = dims.iter().product();
        let needed = count
            .checked_mul((stride + RECORD) as u64)
            .and_then(|n| n.checked_add(HEADER as u64));
        if needed != Some(length) {
            return damaged(&format!("it has {length} bytes, its header says otherwise"));
        }
        // As it lies in the file, and parsed.
        Budget::shared()
            .check(count * (RECORD + size_of::<Entry>()) as u64)
            .map_err(io::Error::other)?;
        let mut index = vec![0; count as usize * RECORD];
        let start = HEADER as u64 + count * stride as u64;
        read_at(&file, &mut index, start)?;
        if word(8) != crc32fast::hash(&index) {
            return damaged("its index does not match its CRC-32");
        }
        Ok(Self(Arc::new(Inner {
            file,
            path: path.to_owned(),
            dims,
            fit,
            entries: index.as_chunks::<RECORD>().0.iter().map(parse).collect(),
            origins: Mutex::default(),
            restored: Once::new(),
            failure: OnceLock::new(),
        })))
    }

    /// Reads everything and returns the rows whose pixels are damaged, ascending.
    pub fn verify(&self) -> Vec<usize> {
        (0..self.len())
            .into_par_iter()
            .filter(|i| self.read(*i).is_err())
            .collect()
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.0.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.entries.is_empty()
    }

    /// Bytes of all pixels.
    pub fn bytes(&self) -> u64 {
        (self.len() * self.stride()) as u64
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// What is known of image `i`.
    pub fn entry(&self, i: usize) -> &Entry {
        &self.0.entries[i]
    }

    fn stride(&self) -> usize {
        self.0.dims.iter().product()
    }

    /// Says which file image `i` can be decoded from again.
    pub fn set_origin(&self, i: u32, path: &Path) {
        self.origins().insert(i, Arc::from(path));
    }

    fn origins(&self) -> MutexGuard<'_, HashMap<u32, Arc<Path>>> {
        self.0
            .origins
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Pixels of image `i`, by their checksum those that were written. Where the file does not
    /// give them any more they are decoded again from the photo. If that is impossible too they
    /// are black, and [`Self::failure`] says so from then on.
    pub fn pixels(&self, i: usize) -> Vec<u8> {
        let why = match self.read(i) {
            Ok(pixels) => return pixels,
            Err(why) => why,
        };
        let path = self.0.path.display();
        let origin = self.origins().get(&(i as u32)).cloned();
        let restored = match &origin {
            Some(photo) => restore(photo, self.entry(i), self.0.dims, self.0.fit),
            None => Err("the photo lies in an archive or a file of many".into()),
        };
        restored
            .inspect(|_| {
                self.0.restored.call_once(|| {
                    console::note(&format!(
                        "warning: {path}: {why}; what is damaged in it is decoded again as it is needed"
                    ));
                });
            })
            .unwrap_or_else(|gone| {
                self.0.failure.get_or_init(|| {
                    format!(
                        "{path}: {why}\n  why:   the image cache changed or its disk failed during the run, and {gone}\n  \
                         do:    the same command again; it decodes what is missing"
                    )
                });
                vec![0; self.stride()]
            })
    }

    /// Pixels of image `i` that match their checksum.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn read(&self, i: usize) -> Result<Vec<u8>, String> {
        let mut pixels = vec![0; self.stride()];
        let at = HEADER as u64 + i as u64 * self.stride() as u64;
        read_at(&self.0.file, &mut pixels, at).map_err(|e| e.to_string())?;
        if crc32fast::hash(&pixels) == self.entry(i).crc {
            Ok(pixels)
        } else {
            Err(format!("the pixels of image {i} do not match their CRC-32"))
        }
    }

    /// Why an image could not be had, once that has happened.
    pub fn failure(&self) -> Option<String> {
        self.0.failure.get().cloned()
    }
}

#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, at)
}

#[cfg(windows)]
fn read_at(file: &File, mut bytes: &mut [u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, bytes, at)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => (bytes, at) = (&mut bytes[n..], at + n as u64),
        }
    }
    Ok(())
}

/// The first 32 bytes of a header.
pub(super) fn head(dims: [usize; 3], fit: Fit, count: u64) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    for n in [
        VERSION,
        dims[0] as u32,
        dims[1] as u32,
        dims[2] as u32,
        fit as u32,
    ] {
        bytes.extend(n.to_le_bytes());
    }
    bytes.extend(count.to_le_bytes());
    bytes
}

fn parse(record: &[u8; RECORD]) -> Entry {
    let word = |at: usize| {
        u32::from_le_bytes([record[at], record[at + 1], record[at + 2], record[at + 3]])
    };
    let (mut key, mut hash) = ([0; 32], [0; 16]);
    key.copy_from_slice(&record[..32]);
    hash.copy_from_slice(&record[40..56]);
    Entry {
        key,
        crc: word(32),
        sum: word(36),
        hash: u128::from_le_bytes(hash),
        original: [word(56), word(60), word(64)],
    }
}

/// Appends an entry to an index.
pub(super) fn emit(entry: &Entry, bytes: &mut Vec<u8>) {
    bytes.extend(entry.key);
    bytes.extend(entry.crc.to_le_bytes());
    bytes.extend(entry.sum.to_le_bytes());
    bytes.extend(entry.hash.to_le_bytes());
    for d in entry.original {
        bytes.extend(d.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::super::writer::SegmentWriter;
    use super::*;
    use proptest::prelude::*;

    const DIMS: [usize; 3] = [2, 3, 1];

    fn write(folder: &Path) -> PathBuf {
        let mut writer = SegmentWriter::create(folder, DIMS, Fit::Crop).unwrap();
        for i in 0..3u8 {
            writer
                .push([i; 32], u128::from(i) << 99, [9, 8, 3], &[i * 10; 6])
                .unwrap();
        }
        writer.finish().unwrap()
    }

    fn pixels_are_black(segment: &Segment, i: usize) -> String {
        assert_eq!(segment.pixels(i), [0; 6]);
        segment.failure().unwrap()
    }

    #[test]
    fn images_and_facts_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = write(folder.path());
        let segment = Segment::open(&path, DIMS, Fit::Crop).unwrap();
        assert_eq!(segment.len(), 3);
        assert_eq!(segment.pixels(2), [20; 6]);
        assert!(segment.verify().is_empty());
        let entry = segment.entry(1);
        assert_eq!((entry.key, entry.hash, entry.sum), ([1; 32], 1 << 99, 60));
        assert_eq!(entry.original, [9, 8, 3]);
        assert_eq!(
            std::fs::read_dir(folder.path()).unwrap().count(),
            1,
            "no part is left"
        );
        assert!(Segment::open(&path, DIMS, Fit::Letterbox).is_err());
        assert!(Segment::open(&path, [3, 2, 1], Fit::Crop).is_err());
    }

    #[test]
    fn a_file_that_shrinks_under_a_run_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = write(folder.path());
        let segment = Segment::open(&path, DIMS, Fit::Crop).unwrap();
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(70)
            .unwrap();
        assert_eq!(segment.pixels(0), [0; 6]);
        assert!(segment.failure().is_none());
        let text = pixels_are_black(&segment, 2);
        assert!(text.contains(".pupc") && text.contains("do:"), "{text}");
    }

    #[test]
    fn a_bit_that_flips_during_a_run_is_seen_and_the_photo_decoded_again() {
        let folder = tempfile::tempdir().unwrap();
        let (photo, segment) = (folder.path().join("a.pgm"), folder.path().join("s"));
        std::fs::create_dir(&segment).unwrap();
        let file = b"P5 3 2 255\n\x01\x02\x03\x04\x05\x06";
        std::fs::write(&photo, file).unwrap();
        let mut writer = SegmentWriter::create(&segment, DIMS, Fit::Crop).unwrap();
        let key = crate::data::fingerprint::of_file(file);
        writer.push(key, 0, [2, 3, 1], &[1, 2, 3, 4, 5, 6]).unwrap();
        let path = writer.finish().unwrap();
        let open = || Segment::open(&path, DIMS, Fit::Crop).unwrap();
        let (known, unknown) = (open(), open());
        known.set_origin(0, &photo);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[HEADER + 3] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(known.pixels(0), [1, 2, 3, 4, 5, 6]);
        assert_eq!(known.failure(), None);
        let text = pixels_are_black(&unknown, 0);
        assert!(
            text.contains("do not match") && text.contains("archive"),
            "{text}"
        );
        // The photo is another one by now, then gone.
        std::fs::write(&photo, b"P5 3 2 255\n\x01\x02\x03\x04\x05\x07").unwrap();
        let changed = open();
        changed.set_origin(0, &photo);
        let text = pixels_are_black(&changed, 0);
        assert!(text.contains("a.pgm: it has changed since"), "{text}");
        std::fs::remove_file(&photo).unwrap();
        let gone = open();
        gone.set_origin(0, &photo);
        let text = pixels_are_black(&gone, 0);
        assert!(text.contains("a.pgm: can't be read"), "{text}");
    }

    #[test]
    fn every_cut_and_every_changed_byte_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = write(folder.path());
        let good = std::fs::read(&path).unwrap();
        let bad = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            match Segment::open(&path, DIMS, Fit::Crop) {
                Ok(segment) => !segment.verify().is_empty(),
                Err(SegmentError::Damaged(_)) => true,
                Err(SegmentError::Io(_)) => false,
            }
        };
        for n in 0..good.len() {
            assert!(bad(&good[..n]), "cut at {n}");
        }
        for at in (0..36).chain(HEADER..good.len()) {
            let mut bytes = good.clone();
            bytes[at] ^= 0x10;
            assert!(bad(&bytes), "changed at {at}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("x.pupc");
            std::fs::write(&path, &bytes).unwrap();
            prop_assert!(Segment::open(&path, DIMS, Fit::Crop).is_err());
        }
    }
}
