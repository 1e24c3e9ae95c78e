//! One image from a file or an archive's member to pixels, within the memory budget.

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::path::Path;

use super::cache::Stamp;
use super::formats::decode::{Decoded, decode_within};
use super::memory::{Budget, Grown, Reserved};
use crate::data::formats::damage::Damage;
use crate::util::regular;

/// Larger files are not read.
pub(crate) const MOST_FILE: u64 = 1 << 30;

/// What came of a file.
pub(crate) struct Loaded<T> {
    /// What the file was when it was opened; nothing where it could not be opened, or has
    /// changed while or just before it was read.
    pub stamp: Option<Stamp>,
    /// What was made of it.
    pub result: Result<T, Damage>,
}

/// Reads the file at `path`. If `known` has nothing to say of its bytes it is decoded, and
/// `work` is what takes the pixels while their memory is reserved. Waits where others hold too
/// much of the budget; the caller must hold none of it.
pub(crate) fn from_file<T>(
    path: &Path,
    known: impl Fn(&[u8]) -> Option<T>,
    work: impl Fn(&[u8], Decoded) -> T,
) -> Loaded<T> {
    let io = |e: std::io::Error| Damage::Io(e.to_string());
    let (mut file, stamp) = match regular::open(path) {
        Ok((file, data)) => (file, Stamp::of(&data)),
        Err(e) => {
            return Loaded {
                stamp: None,
                result: Err(io(e)),
            };
        }
    };
    let settled = stamp.is_settled();
    let result = read_and_decode(&mut file, stamp.size, &known, &work);
    let same = file.metadata().is_ok_and(|data| Stamp::of(&data) == stamp);
    Loaded {
        stamp: (settled && same).then_some(stamp),
        result,
    }
}

fn read_and_decode<T>(
    file: &mut File,
    size: u64,
    known: &impl Fn(&[u8]) -> Option<T>,
    work: &impl Fn(&[u8], Decoded) -> T,
) -> Result<T, Damage> {
    let io = |e: std::io::Error| Damage::Io(e.to_string());
    if size > MOST_FILE {
        return Err(Damage::Decoder(format!(
            "{size} bytes are too many for an image"
        )));
    }
    // First for the file, then for its pixels too; where these have to be waited for, the file
    // is given up meanwhile and read again.
    let mut wanted = size;
    loop {
        let mut memory = Budget::shared().reserve(wanted)?;
        file.seek(SeekFrom::Start(0)).map_err(io)?;
        let bytes = regular::read_open(file, size).map_err(io)?;
        if let Some(found) = known(&bytes) {
            return Ok(found);
        }
        match within(&mut memory, wanted - size, &bytes, work)? {
            Ok(made) => return Ok(made),
            Err(all) => wanted = all,
        }
    }
}

/// Decodes bytes whose memory is part of `memory`, in which `spare` bytes are free. Where others
/// hold too much, how much is needed in all.
///
/// # Errors
/// What is wrong with the image.
pub(crate) fn within<T>(
    memory: &mut Reserved,
    spare: u64,
    bytes: &[u8],
    work: impl Fn(&[u8], Decoded) -> T,
) -> Result<Result<T, u64>, Damage> {
    let mut later = None;
    let image = decode_within(bytes, |needed| {
        if let Grown::Later(all) = memory.grow(needed.saturating_sub(spare))? {
            later = Some(all);
            // Ends decoding; never seen.
            return Err(Damage::Empty);
        }
        Ok(())
    });
    match later {
        Some(all) => Ok(Err(all)),
        None => Ok(Ok(work(bytes, image?))),
    }
}

/// Decodes an archive's member, whose bytes are in memory but not in the budget. Waits where
/// others hold too much.
///
/// # Errors
/// What is wrong with the image.
pub(crate) fn from_bytes<T>(bytes: &[u8], work: impl Fn(&[u8], Decoded) -> T) -> Result<T, Damage> {
    let mut wanted = 0;
    loop {
        let mut memory = Budget::shared().reserve(wanted)?;
        match within(&mut memory, wanted, bytes, &work)? {
            Ok(made) => return Ok(made),
            Err(all) => wanted = all,
        }
    }
}

/// A whole image, for a caller that wants one.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn image(path: &Path) -> Result<Decoded, Damage> {
    from_file(path, |_| None, |_, image| image).result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_or_decoded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pgm");
        std::fs::write(&path, b"P5 2 1 255\n\x07\x09").unwrap();
        assert_eq!(image(&path).unwrap().pixels, [7, 9]);
        let known = from_file(&path, |b| Some(b.len()), |_, _| 0);
        assert_eq!(known.result, Ok(13));
        let gone = from_file(&folder.path().join("b"), |_| Some(1), |_, _| 0);
        assert!(gone.stamp.is_none() && !gone.result.unwrap_err().lasts());
        std::fs::write(&path, b"P5 9000 9000 255\n").unwrap();
        assert!(image(&path).unwrap_err().lasts());
        assert_eq!(
            from_bytes(b"P5 1 1 255\n\x08", |_, i| i.pixels),
            Ok(vec![8])
        );
    }
}
