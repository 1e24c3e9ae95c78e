//! All segments of one size, and adding to them.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};

use super::checked::{opened, sealed};
use super::error::CacheError;
use super::segment::{Segment, SegmentError};
use super::writer::SegmentWriter;
use crate::data::cache::entry::Entry;
use crate::data::fingerprint::Key;
use crate::data::fit::Fit;
use crate::data::memory::Budget;
use crate::util::files::clean_up;
use crate::util::files::write_atomic;
use crate::util::regular;

/// Pixels of one segment.
const SEGMENT_BYTES: u64 = 256 << 20;
/// Segments of less are what commits every few seconds leave.
const SMALL: u64 = SEGMENT_BYTES / 8;
/// More small ones are made into one.
const MOST_SMALL: usize = 16;
/// Results that are kept beside the images.
const MOST_RESULTS: usize = 32;

/// The images of one size.
#[derive(Debug)]
pub(crate) struct Shelf {
    folder: PathBuf,
    dims: [usize; 3],
    fit: Fit,
    segments: Vec<Segment>,
    places: HashMap<Key, (u32, u32)>,
    writer: Option<SegmentWriter>,
    pending: HashSet<Key>,
    damaged: Vec<String>,
}

impl Shelf {
    /// Opens all segments in `folder` and verifies them. What is damaged is dropped: it is
    /// decoded again.
    pub(super) fn open(folder: PathBuf, dims: [usize; 3], fit: Fit) -> Result<Self, CacheError> {
        let paths = segment_paths(&folder).map_err(|source| CacheError {
            path: folder.clone(),
            source,
        })?;
        let mut shelf = Self {
            folder,
            dims,
            fit,
            segments: Vec::new(),
            places: HashMap::new(),
            writer: None,
            pending: HashSet::new(),
            damaged: Vec::new(),
        };
        let mut opened: Vec<(Segment, Vec<usize>)> = Vec::new();
        for path in paths {
            let name = path.display();
            match Segment::open(&path, dims, fit) {
                Ok(segment) => {
                    let bad = segment.verify();
                    if !bad.is_empty() {
                        let (bad, all) = (bad.len(), segment.len());
                        shelf.damaged.push(format!(
                            "{name}: {bad} of {all} images do not match their checksums"
                        ));
                    }
                    opened.push((segment, bad));
                }
                Err(SegmentError::Damaged(why)) => {
                    shelf.damaged.push(format!("{name}: {why}"));
                    let _ = std::fs::remove_file(&path);
                }
                // Made into another by another process.
                Err(SegmentError::Io(e)) if e.kind() == io::ErrorKind::NotFound => {}
                Err(SegmentError::Io(e)) => {
                    shelf.damaged.push(format!("{name}: can't be read: {e}"));
                }
            }
        }
        let is_small = |s: &Segment| s.bytes() < SMALL;
        let many = opened.iter().filter(|(s, _)| is_small(s)).count() > MOST_SMALL;
        let (anew, good): (Vec<_>, Vec<_>) = opened
            .into_iter()
            .partition(|(s, bad)| !bad.is_empty() || many && is_small(s));
        for (segment, _) in good {
            shelf.adopt(segment, &[]);
        }
        shelf.rewrite(anew);
        Ok(shelf)
    }

    /// Makes the good rows of segments into new ones. Where that fails, as on a full disk, the
    /// old ones stay in use.
    fn rewrite(&mut self, old: Vec<(Segment, Vec<usize>)>) {
        let copied = (|| -> Result<Vec<Segment>, CacheError> {
            let (mut new, mut writer) = (Vec::new(), None);
            for (segment, bad) in &old {
                for row in (0..segment.len()).filter(|r| bad.binary_search(r).is_err()) {
                    // Damaged only just: found missing later.
                    let Ok(pixels) = segment.read(row) else {
                        continue;
                    };
                    let mut open = match writer.take() {
                        Some(writer) => writer,
                        None => SegmentWriter::create(&self.folder, self.dims, self.fit)?,
                    };
                    let Entry {
                        key,
                        hash,
                        original,
                        ..
                    } = *segment.entry(row);
                    open.push(key, hash, original, &pixels)?;
                    if open.bytes() >= SEGMENT_BYTES {
                        new.push(self.finished(open)?);
                    } else {
                        writer = Some(open);
                    }
                }
            }
            if let Some(writer) = writer {
                new.push(self.finished(writer)?);
            }
            Ok(new)
        })();
        match copied {
            Ok(new) => {
                let kept: Vec<PathBuf> = new.iter().map(|s| s.path().to_owned()).collect();
                for segment in new {
                    self.adopt(segment, &[]);
                }
                for (segment, _) in old {
                    if !kept.iter().any(|k| k == segment.path()) {
                        let _ = std::fs::remove_file(segment.path());
                    }
                }
            }
            Err(_) => {
                for (segment, bad) in old {
                    self.adopt(segment, &bad);
                }
            }
        }
    }

    fn finished(&self, writer: SegmentWriter) -> Result<Segment, CacheError> {
        let path = writer.finish()?;
        let fail = |source| CacheError {
            path: path.clone(),
            source,
        };
        let segment = Segment::open(&path, self.dims, self.fit).map_err(|e| match e {
            SegmentError::Damaged(why) => fail(io::Error::other(why)),
            SegmentError::Io(e) => fail(e),
        })?;
        match segment.verify().first() {
            Some(i) => Err(fail(io::Error::other(format!(
                "image {i} does not come back as it was written"
            )))),
            None => Ok(segment),
        }
    }

    fn adopt(&mut self, segment: Segment, bad: &[usize]) {
        let number = self.segments.len() as u32;
        for i in (0..segment.len()).filter(|i| bad.binary_search(i).is_err()) {
            let place = (number, i as u32);
            self.places.entry(segment.entry(i).key).or_insert(place);
        }
        self.segments.push(segment);
    }

    /// Says which file an image can be decoded from again.
    pub(crate) fn set_origin(&self, (segment, row): (u32, u32), path: &Path) {
        self.segments[segment as usize].set_origin(row, path);
    }

    /// Height, width, channels.
    pub(crate) fn dims(&self) -> [usize; 3] {
        self.dims
    }

    /// How images were brought to that size.
    pub(crate) fn fit(&self) -> Fit {
        self.fit
    }

    /// Whether the image is here, or added and not yet committed.
    pub(crate) fn has(&self, key: &Key) -> bool {
        self.places.contains_key(key) || self.pending.contains(key)
    }

    /// Segment and row of an image; none before [`Self::commit`].
    pub(crate) fn place(&self, key: &Key) -> Option<(u32, u32)> {
        self.places.get(key).copied()
    }

    /// What is known of the image at a place.
    pub(crate) fn entry(&self, (segment, row): (u32, u32)) -> &Entry {
        self.segments[segment as usize].entry(row as usize)
    }

    /// Pixels of the image at a place.
    pub(crate) fn pixels(&self, (segment, row): (u32, u32)) -> Vec<u8> {
        self.segments[segment as usize].pixels(row as usize)
    }

    /// All segments, in the order of the places' numbers.
    pub(crate) fn segments(&self) -> Vec<Segment> {
        self.segments.clone()
    }

    /// Files that were damaged and are gone, and what was wrong with each.
    pub(crate) fn damaged(&self) -> &[String] {
        &self.damaged
    }

    /// Why an image could not be had, once that has happened.
    pub(crate) fn failure(&self) -> Option<String> {
        self.segments.iter().find_map(Segment::failure)
    }

    /// What [`Self::remember`] kept under a name.
    pub(crate) fn remembered(&self, name: &str) -> Option<Vec<u8>> {
        let path = self.folder.join(format!("{name}.near"));
        let bytes = regular::read(&path, Budget::shared().limit() / 8).ok()?;
        opened(&bytes).ok().map(<[u8]>::to_vec)
    }

    /// Keeps a result that is made again where it is lost, beside the last ones of that kind.
    pub(crate) fn remember(&self, name: &str, json: &[u8]) {
        let path = self.folder.join(format!("{name}.near"));
        let _ = write_atomic(&path, &sealed(json));
        let Ok(folder) = std::fs::read_dir(&self.folder) else {
            return;
        };
        let mut kept: Vec<_> = folder
            .flatten()
            .map(|entry| entry.path())
            .filter(|p| p.extension().is_some_and(|e| e == "near"))
            .map(|p| (p.metadata().and_then(|m| m.modified()).ok(), p))
            .collect();
        kept.sort();
        let surplus = kept.len().saturating_sub(MOST_RESULTS);
        for (_, old) in &kept[..surplus] {
            let _ = std::fs::remove_file(old);
        }
    }

    /// Adds an image that is not here.
    ///
    /// # Errors
    /// A full disk, above all.
    pub(crate) fn add(
        &mut self,
        key: Key,
        hash: u128,
        original: [usize; 3],
        pixels: &[u8],
    ) -> Result<(), CacheError> {
        if self.has(&key) {
            return Ok(());
        }
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => SegmentWriter::create(&self.folder, self.dims, self.fit)?,
        };
        writer.push(key, hash, original.map(|d| d as u32), pixels)?;
        self.pending.insert(key);
        let full = writer.bytes() >= SEGMENT_BYTES;
        self.writer = Some(writer);
        if full { self.commit() } else { Ok(()) }
    }

    /// Makes what was added lasting and readable.
    ///
    /// # Errors
    /// A full disk, above all.
    pub(crate) fn commit(&mut self) -> Result<(), CacheError> {
        let Some(writer) = self.writer.take() else {
            return Ok(());
        };
        let segment = self.finished(writer)?;
        self.adopt(segment, &[]);
        self.pending.clear();
        Ok(())
    }
}

/// The segments in a folder, in order; parts of dead processes go.
fn segment_paths(folder: &Path) -> io::Result<Vec<PathBuf>> {
    std::fs::create_dir_all(folder)?;
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        match path.extension().and_then(|e| e.to_str()) {
            Some("pupc") => paths.push(path),
            Some("part") => clean_up(&path),
            _ => {}
        }
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn added_images_stay_and_a_damaged_segment_goes() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Shelf::open(folder.path().join("x"), [1, 2, 1], Fit::Crop).unwrap();
        let mut shelf = open();
        shelf.add([1; 32], 5, [4, 4, 3], &[1, 2]).unwrap();
        assert!(shelf.has(&[1; 32]) && shelf.place(&[1; 32]).is_none());
        shelf.commit().unwrap();
        shelf.add([2; 32], 6, [4, 4, 3], &[3, 4]).unwrap();
        shelf.add([1; 32], 5, [4, 4, 3], &[9, 9]).unwrap();
        shelf.commit().unwrap();
        let shelf = open();
        let place = shelf.place(&[2; 32]).unwrap();
        assert_eq!(
            (shelf.pixels(place), shelf.entry(place).hash),
            (vec![3, 4], 6)
        );
        assert_eq!(shelf.pixels(shelf.place(&[1; 32]).unwrap()), [1, 2]);
        // One of the two files loses a byte.
        let path = std::fs::read_dir(folder.path().join("x"))
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path();
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        let shelf = open();
        assert_eq!(shelf.damaged().len(), 1);
        assert!(shelf.has(&[1; 32]) ^ shelf.has(&[2; 32]));
        assert!(!path.exists());
    }

    fn segments(folder: &Path) -> Vec<PathBuf> {
        segment_paths(folder).unwrap()
    }

    #[test]
    fn one_damaged_image_takes_no_other_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Shelf::open(folder.path().to_owned(), [1, 2, 1], Fit::Crop).unwrap();
        let mut shelf = open();
        for i in 1..=9 {
            shelf.add([i; 32], 5, [4, 4, 3], &[i, i]).unwrap();
        }
        shelf.commit().unwrap();
        let path = segments(folder.path()).remove(0);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[super::super::segment::HEADER + 5] ^= 4;
        std::fs::write(&path, &bytes).unwrap();
        let shelf = open();
        let text = &shelf.damaged()[0];
        assert!(text.contains("1 of 9 images do not match"), "{text}");
        let here: Vec<bool> = (1..=9).map(|i| shelf.has(&[i; 32])).collect();
        assert_eq!(here.iter().filter(|h| **h).count(), 8);
        assert!(!here[2]);
        assert_eq!(shelf.pixels(shelf.place(&[9; 32]).unwrap()), [9, 9]);
        // It is told once.
        let shelf = open();
        assert!(shelf.damaged().is_empty() && !shelf.has(&[3; 32]));
    }

    #[test]
    fn many_small_segments_become_one() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Shelf::open(folder.path().to_owned(), [1, 2, 1], Fit::Crop).unwrap();
        let mut shelf = open();
        for i in 0..40 {
            shelf.add([i; 32], 5, [4, 4, 3], &[i, 7]).unwrap();
            shelf.commit().unwrap();
        }
        assert_eq!(segments(folder.path()).len(), 40);
        for _ in 0..2 {
            let shelf = open();
            assert_eq!(segments(folder.path()).len(), 1);
            for i in 0..40 {
                assert_eq!(shelf.pixels(shelf.place(&[i; 32]).unwrap()), [i, 7]);
            }
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_segment_that_cannot_be_read_now_is_not_thrown_away() {
        let folder = tempfile::tempdir().unwrap();
        // Like a permission that is missing, for a superuser too: a link into nothing it follows.
        let path = folder.path().join("x.pupc");
        std::os::unix::fs::symlink(&path, &path).unwrap();
        let shelf = Shelf::open(folder.path().to_owned(), [1, 2, 1], Fit::Crop).unwrap();
        assert!(shelf.damaged()[0].contains("can't be read"));
        assert!(path.symlink_metadata().is_ok());
    }
}
