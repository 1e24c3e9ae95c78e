//! Writing a segment: it appears under its name when it is whole.
//!
//! Until then it is `PROCESS-NUMBER.part`, locked by its writer: what nobody holds is of a process
//! that was killed.

use std::fs::{File, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::error::CacheError;
use super::segment::{HEADER, emit, head};
use crate::data::cache::entry::Entry;
use crate::data::fingerprint::Key;
use crate::data::fit::Fit;
use crate::util::hash::hex;
use crate::util::regular;

/// A segment being written: it appears under its name when it is whole.
#[derive(Debug)]
pub(super) struct SegmentWriter {
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
    pub(super) fn create(folder: &Path, dims: [usize; 3], fit: Fit) -> Result<Self, CacheError> {
        use std::sync::atomic::{AtomicU64, Ordering};
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let part = folder.join(format!("{}-{number}.part", std::process::id()));
        let fail = |source| CacheError {
            path: part.clone(),
            source,
        };
        let mut file = io::BufWriter::with_capacity(1 << 18, locked(&part).map_err(fail)?);
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
    pub(super) fn bytes(&self) -> u64 {
        self.count * self.dims.iter().product::<usize>() as u64
    }

    /// Adds an image; checksum and sum are made here.
    ///
    /// # Errors
    /// A full disk, above all.
    pub(super) fn push(
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
    pub(super) fn finish(mut self) -> Result<PathBuf, CacheError> {
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

/// A new file that is locked, unless the file system has no locks.
fn locked(path: &Path) -> io::Result<File> {
    for _ in 0..9 {
        let file = File::create(path)?;
        let _ = file.try_lock();
        // Another process may have taken it for a dead one's before it was locked.
        if path.exists() {
            return Ok(file);
        }
    }
    File::create(path)
}

/// Removes a part whose writer is dead.
pub(super) fn clean_up(path: &Path) {
    let Ok((file, _)) = regular::open(path) else {
        return;
    };
    let dead = match file.try_lock() {
        Ok(()) => true,
        Err(TryLockError::WouldBlock) => false,
        // A file system without locks: nobody writes for a day.
        Err(TryLockError::Error(_)) => {
            let age = file.metadata().and_then(|m| m.modified()).ok();
            let age = age.and_then(|t| t.elapsed().ok());
            age.is_some_and(|a| a.as_secs() > 86_400)
        }
    };
    if dead {
        let _ = std::fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_dead_process_goes_and_one_being_written_stays() {
        let folder = tempfile::tempdir().unwrap();
        let dead = folder.path().join("1-0.part");
        std::fs::write(&dead, [0; 99]).unwrap();
        let writer = SegmentWriter::create(folder.path(), [1, 1, 1], Fit::Crop).unwrap();
        clean_up(&dead);
        clean_up(&writer.part);
        assert!(!dead.exists() && writer.part.exists());
    }
}
