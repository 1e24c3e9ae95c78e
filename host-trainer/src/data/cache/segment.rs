//! One immutable file of decoded images.
//!
//! Layout, little endian: a header of 64 bytes (`PUPC`, version, height, width, channels, fit as
//! u32; count as u64; CRC-32 of the index; CRC-32 of the header before it; zeros), the pixels of
//! all images, then the index, 68 bytes an image: key (32), CRC-32 of its pixels, sum of its
//! pixels, difference hash (16), height, width and channels of the original (u32 each).

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::CacheError;
use crate::data::dataset::hex;
use crate::data::fingerprint::Key;
use crate::data::fit::Fit;

const MAGIC: [u8; 4] = *b"PUPC";
const VERSION: u32 = 1;
const HEADER: usize = 64;
const RECORD: usize = 68;

/// What the index says of one image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Content of the original.
    pub key: Key,
    /// CRC-32 of the cached pixels.
    pub crc: u32,
    /// Sum of the cached pixels.
    pub sum: u32,
    /// Perceptual hash of the original.
    pub hash: u128,
    /// Height, width, channels of the original.
    pub original: [u32; 3],
}

#[derive(Debug)]
struct Inner {
    file: File,
    path: PathBuf,
    stride: usize,
    entries: Vec<Entry>,
    failure: OnceLock<String>,
}

/// A whole, verified segment; copies share the open file.
#[derive(Clone, Debug)]
pub struct Segment(Arc<Inner>);

impl Segment {
    /// Opens and verifies every checksum. Memory: the index.
    ///
    /// # Errors
    /// What is damaged.
    pub fn open(path: &Path, dims: [usize; 3], fit: Fit) -> Result<Self, String> {
        let file = File::open(path).map_err(|e| e.to_string())?;
        let length = file.metadata().map_err(|e| e.to_string())?.len();
        let mut header = [0; HEADER];
        read_at(&file, &mut header, 0).map_err(|_| "it is shorter than its header".to_owned())?;
        let word = |i: usize| {
            let b = &header[4 * i..4 * i + 4];
            u32::from_le_bytes([b[0], b[1], b[2], b[3]])
        };
        if word(9) != crc32fast::hash(&header[..36]) {
            return Err("its header does not match its CRC-32".into());
        }
        if header[..32] != head(dims, fit, u64::from(word(6)) | u64::from(word(7)) << 32)[..32] {
            return Err("it holds images of another kind or version".into());
        }
        let count = u64::from(word(6)) | u64::from(word(7)) << 32;
        let stride: usize = dims.iter().product();
        let needed = count
            .checked_mul((stride + RECORD) as u64)
            .and_then(|n| n.checked_add(HEADER as u64));
        if needed != Some(length) {
            return Err(format!("it has {length} bytes, its header says otherwise"));
        }
        let mut index = vec![0; count as usize * RECORD];
        let start = HEADER as u64 + count * stride as u64;
        read_at(&file, &mut index, start).map_err(|e| e.to_string())?;
        if word(8) != crc32fast::hash(&index) {
            return Err("its index does not match its CRC-32".into());
        }
        let segment = Self(Arc::new(Inner {
            file,
            path: path.to_owned(),
            stride,
            entries: index.as_chunks::<RECORD>().0.iter().map(parse).collect(),
            failure: OnceLock::new(),
        }));
        let damaged = (0..segment.len()).into_par_iter().find_any(|i| {
            let mut pixels = vec![0; stride];
            segment.read(*i, &mut pixels).is_err()
                || crc32fast::hash(&pixels) != segment.entry(*i).crc
        });
        match damaged {
            Some(i) => Err(format!("the pixels of image {i} do not match their CRC-32")),
            None => Ok(segment),
        }
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.0.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.entries.is_empty()
    }

    /// What is known of image `i`.
    pub fn entry(&self, i: usize) -> &Entry {
        &self.0.entries[i]
    }

    /// Pixels of image `i`. When the file can't be read any more they are black, and
    /// [`Self::failure`] says so from then on.
    pub fn pixels(&self, i: usize) -> Vec<u8> {
        let mut pixels = vec![0; self.0.stride];
        if let Err(e) = self.read(i, &mut pixels) {
            self.0.failure.get_or_init(|| {
                format!(
                    "{}: {e}\n  why:   the image cache changed or its disk failed during the run\n  \
                     do:    the same command again; it decodes what is missing",
                    self.0.path.display()
                )
            });
            pixels.fill(0);
        }
        pixels
    }

    fn read(&self, i: usize, pixels: &mut [u8]) -> io::Result<()> {
        let at = HEADER as u64 + i as u64 * self.0.stride as u64;
        read_at(&self.0.file, pixels, at)
    }

    /// Why an image could not be read, once that has happened.
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
fn head(dims: [usize; 3], fit: Fit, count: u64) -> Vec<u8> {
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

fn emit(entry: &Entry, bytes: &mut Vec<u8>) {
    bytes.extend(entry.key);
    bytes.extend(entry.crc.to_le_bytes());
    bytes.extend(entry.sum.to_le_bytes());
    bytes.extend(entry.hash.to_le_bytes());
    for d in entry.original {
        bytes.extend(d.to_le_bytes());
    }
}

/// A segment being written: it appears under its name when it is whole.
#[derive(Debug)]
pub struct SegmentWriter {
    part: PathBuf,
    file: io::BufWriter<File>,
    dims: [usize; 3],
    fit: Fit,
    index: Vec<u8>,
    count: u64,
}

impl SegmentWriter {
    /// Starts a segment in `folder`.
    ///
    /// # Errors
    /// A folder that can't be written to.
    pub fn create(folder: &Path, dims: [usize; 3], fit: Fit) -> Result<Self, CacheError> {
        use std::sync::atomic::{AtomicU64, Ordering};
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let part = folder.join(format!("{}-{number}.part", std::process::id()));
        let fail = |source| CacheError {
            path: part.clone(),
            source,
        };
        let mut file = io::BufWriter::with_capacity(1 << 18, File::create(&part).map_err(fail)?);
        file.write_all(&[0; HEADER]).map_err(fail)?;
        Ok(Self {
            part: part.clone(),
            file,
            dims,
            fit,
            index: Vec::new(),
            count: 0,
        })
    }

    /// Bytes of pixels so far.
    pub fn bytes(&self) -> u64 {
        self.count * self.dims.iter().product::<usize>() as u64
    }

    /// Adds an image; checksum and sum are made here.
    ///
    /// # Errors
    /// A full disk, above all.
    pub fn push(
        &mut self,
        key: Key,
        hash: u128,
        original: [u32; 3],
        pixels: &[u8],
    ) -> Result<(), CacheError> {
        let entry = Entry {
            key,
            crc: crc32fast::hash(pixels),
            sum: pixels.iter().map(|p| u32::from(*p)).sum(),
            hash,
            original,
        };
        self.file.write_all(pixels).map_err(|e| self.fail(e))?;
        emit(&entry, &mut self.index);
        self.count += 1;
        Ok(())
    }

    /// Ends the segment and gives it its name.
    ///
    /// # Errors
    /// A full disk, above all.
    pub fn finish(mut self) -> Result<PathBuf, CacheError> {
        let mut header = head(self.dims, self.fit, self.count);
        header.extend(crc32fast::hash(&self.index).to_le_bytes());
        header.extend(crc32fast::hash(&header).to_le_bytes());
        let index = std::mem::take(&mut self.index);
        let written = (|| {
            self.file.write_all(&index)?;
            self.file.seek(SeekFrom::Start(0))?;
            self.file.write_all(&header)?;
            self.file.flush()?;
            self.file.get_ref().sync_all()
        })();
        written.map_err(|e| self.fail(e))?;
        let name = hex(&Sha256::digest(&index)[..8]);
        let path = self.part.with_file_name(format!("{name}.pupc"));
        std::fs::rename(&self.part, &path).map_err(|e| self.fail(e))?;
        Ok(path)
    }

    fn fail(&self, source: io::Error) -> CacheError {
        CacheError {
            path: self.part.clone(),
            source,
        }
    }
}

impl Drop for SegmentWriter {
    fn drop(&mut self) {
        // After `finish` it is gone already.
        let _ = std::fs::remove_file(&self.part);
    }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn images_and_facts_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = write(folder.path());
        let segment = Segment::open(&path, DIMS, Fit::Crop).unwrap();
        assert_eq!(segment.len(), 3);
        assert_eq!(segment.pixels(2), [20; 6]);
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
        assert_eq!(segment.pixels(2), [0; 6]);
        let text = segment.failure().unwrap();
        assert!(text.contains(".pupc") && text.contains("do:"), "{text}");
    }

    #[test]
    fn every_cut_and_every_changed_byte_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = write(folder.path());
        let good = std::fs::read(&path).unwrap();
        for n in 0..good.len() {
            std::fs::write(&path, &good[..n]).unwrap();
            assert!(Segment::open(&path, DIMS, Fit::Crop).is_err(), "cut at {n}");
        }
        for at in (0..36).chain(HEADER..good.len()) {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            std::fs::write(&path, &bad).unwrap();
            assert!(
                Segment::open(&path, DIMS, Fit::Crop).is_err(),
                "changed at {at}"
            );
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
