//! Writing a segment: it appears under its name when it is whole.
//!
//! Until then it is a `.part`, locked by its writer: what nobody holds is of a process that was
//! killed.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::error::CacheError;
use super::segment::{HEADER, emit, head};
use crate::data::cache::entry::Entry;
use crate::data::fingerprint::Key;
use crate::data::fit::Fit;
use crate::util::files::new_part;
use crate::util::hash::hex;

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
        let (part, file) = new_part(&folder.join("segment")).map_err(|source| CacheError {
            path: folder.to_owned(),
            source,
        })?;
        let fail = |source| CacheError {
            path: part.clone(),
            source,
        };
        let mut file = io::BufWriter::with_capacity(1 << 18, file);
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
