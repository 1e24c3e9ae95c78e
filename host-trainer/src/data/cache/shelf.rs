//! All segments of one size, and adding to them.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::segment::{Entry, Segment, SegmentWriter};
use super::{CacheError, Fit};
use crate::data::fingerprint::Key;

/// Pixels of one segment: what a stopped run loses at most.
const SEGMENT_BYTES: u64 = 256 << 20;

/// The images of one size.
#[derive(Debug)]
pub struct Shelf {
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
    /// Opens all segments in `folder`. Damaged ones are deleted: their images are decoded again.
    pub(super) fn open(folder: PathBuf, dims: [usize; 3], fit: Fit) -> Result<Self, CacheError> {
        let fail = |source| CacheError {
            path: folder.clone(),
            source,
        };
        std::fs::create_dir_all(&folder).map_err(fail)?;
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(&folder).map_err(fail)? {
            let path = entry.map_err(fail)?.path();
            match path.extension().and_then(|e| e.to_str()) {
                Some("pupc") => paths.push(path),
                // Of a process that was killed long ago.
                Some("part") if is_old(&path) => drop(std::fs::remove_file(&path)),
                _ => {}
            }
        }
        paths.sort();
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
        for path in paths {
            match Segment::open(&path, dims, fit) {
                Ok(segment) => shelf.adopt(segment),
                Err(why) => {
                    shelf.damaged.push(format!("{}: {why}", path.display()));
                    let _ = std::fs::remove_file(&path);
                }
            }
        }
        Ok(shelf)
    }

    fn adopt(&mut self, segment: Segment) {
        let number = self.segments.len() as u32;
        for i in 0..segment.len() {
            let place = (number, i as u32);
            self.places.entry(segment.entry(i).key).or_insert(place);
        }
        self.segments.push(segment);
    }

    /// Height, width, channels.
    pub fn dims(&self) -> [usize; 3] {
        self.dims
    }

    /// How images were brought to that size.
    pub fn fit(&self) -> Fit {
        self.fit
    }

    /// Whether the image is here, or added and not yet committed.
    pub fn has(&self, key: &Key) -> bool {
        self.places.contains_key(key) || self.pending.contains(key)
    }

    /// Segment and row of an image; none before [`Self::commit`].
    pub fn place(&self, key: &Key) -> Option<(u32, u32)> {
        self.places.get(key).copied()
    }

    /// What is known of the image at a place.
    pub fn entry(&self, (segment, row): (u32, u32)) -> &Entry {
        self.segments[segment as usize].entry(row as usize)
    }

    /// Pixels of the image at a place.
    pub fn pixels(&self, (segment, row): (u32, u32)) -> Vec<u8> {
        self.segments[segment as usize].pixels(row as usize)
    }

    /// All segments, in the order of the places' numbers.
    pub fn segments(&self) -> Vec<Segment> {
        self.segments.clone()
    }

    /// Files that were damaged and are gone, and what was wrong with each.
    pub fn damaged(&self) -> &[String] {
        &self.damaged
    }

    /// Adds an image that is not here.
    ///
    /// # Errors
    /// A full disk, above all.
    pub fn add(
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
    pub fn commit(&mut self) -> Result<(), CacheError> {
        let Some(writer) = self.writer.take() else {
            return Ok(());
        };
        let path = writer.finish()?;
        let segment = Segment::open(&path, self.dims, self.fit).map_err(|why| CacheError {
            path,
            source: std::io::Error::other(why),
        })?;
        self.adopt(segment);
        self.pending.clear();
        Ok(())
    }
}

fn is_old(path: &std::path::Path) -> bool {
    let changed = path.metadata().and_then(|m| m.modified()).ok();
    let age = changed.and_then(|t| SystemTime::now().duration_since(t).ok());
    age.is_some_and(|a| a > Duration::from_secs(86_400))
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
}
