//! Archives of images: `.tar`, `.tar.xz`, `.tar.gz`, read once from front to back.

use std::io::{BufReader, Read};

use thiserror::Error;

/// An image of more bytes is refused.
const MOST_MEMBER: u64 = 1 << 30;
/// Memory that unpacking may take, in KiB: xz's strongest preset needs 65 MiB.
const XZ_MEMORY_KIB: u32 = 512 << 10;

/// An archive that can't be read to its end.
#[derive(Debug, Error)]
#[error("the archive is damaged after {members} files: {why}")]
pub struct ArchiveError {
    /// Files read before.
    pub members: usize,
    /// What the unpacker says.
    pub why: String,
}

/// Whether a file name ends like an archive's that is read here.
pub fn is_archive_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    [".tar", ".tar.xz", ".txz", ".tar.gz", ".tgz"]
        .iter()
        .any(|end| name.ends_with(end))
}

/// Calls `each(name, bytes)` for every file of an archive until it returns false; the packing is
/// told by its first bytes. Links and special files are passed over.
///
/// # Errors
/// Damage, with the number of files read before it.
pub fn for_each(
    file: impl Read,
    mut each: impl FnMut(String, Vec<u8>) -> bool,
) -> Result<(), ArchiveError> {
    let mut members = 0;
    let outcome = (|| -> std::io::Result<()> {
        let mut file = BufReader::with_capacity(1 << 16, file);
        let start = std::io::BufRead::fill_buf(&mut file)?;
        let (xz, gz) = (
            start.starts_with(&[0xfd, b'7', b'z', b'X', b'Z', 0]),
            start.starts_with(&[0x1f, 0x8b]),
        );
        let plain: Box<dyn Read> = if xz {
            Box::new(BufReader::with_capacity(
                1 << 16,
                lzma_rust2::XzReader::new_mem_limit(file, true, XZ_MEMORY_KIB),
            ))
        } else if gz {
            Box::new(flate2::read::MultiGzDecoder::new(file))
        } else {
            Box::new(file)
        };
        let mut archive = tar::Archive::new(plain);
        for entry in archive.entries()? {
            let mut entry = entry?;
            if !entry.header().entry_type().is_file() {
                continue;
            }
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let size = entry.size();
            if size > MOST_MEMBER {
                return Err(std::io::Error::other(format!("{name} has {size} bytes")));
            }
            // Not `with_capacity(size)`: the announced size may not be there.
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            if (bytes.len() as u64) < size {
                return Err(std::io::Error::other(format!(
                    "{name} ends after {} of {size} bytes",
                    bytes.len()
                )));
            }
            members += 1;
            if !each(name, bytes) {
                return Ok(());
            }
        }
        // A cut archive may end at a file's border; its packing knows better.
        let mut rest = archive.into_inner();
        std::io::copy(&mut rest, &mut std::io::sink())?;
        Ok(())
    })();
    outcome.map_err(|e| ArchiveError {
        members,
        why: e.to_string(),
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    /// A plain archive of the given files.
    pub(crate) fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, bytes) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, *bytes).unwrap();
        }
        builder.into_inner().unwrap()
    }

    pub(crate) fn gz(bytes: &[u8]) -> Vec<u8> {
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(bytes).unwrap();
        gz.finish().unwrap()
    }

    pub(crate) fn xz(bytes: &[u8]) -> Vec<u8> {
        let options = lzma_rust2::XzOptions::with_preset(1);
        let mut xz = lzma_rust2::XzWriter::new(Vec::new(), options).unwrap();
        xz.write_all(bytes).unwrap();
        xz.finish().unwrap()
    }

    fn list(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, ArchiveError> {
        let mut all = Vec::new();
        for_each(bytes, |name, bytes| {
            all.push((name, bytes));
            true
        })?;
        Ok(all)
    }

    #[test]
    fn three_packings_hold_the_same_files() {
        let plain = tar(&[("a/1.png", b"one"), ("b/2.png", &[7; 3000])]);
        let files = list(&plain).unwrap();
        assert_eq!(files[0], ("a/1.png".to_owned(), b"one".to_vec()));
        assert_eq!(files[1].1.len(), 3000);
        assert_eq!(list(&gz(&plain)).unwrap(), files);
        assert_eq!(list(&xz(&plain)).unwrap(), files);
    }

    #[test]
    fn cuts_are_errors_that_count_what_was_read() {
        let noise: Vec<u8> = (0..40_000u32).map(|i| ((i * i) >> 7) as u8).collect();
        let plain = tar(&[("a/1.png", b"one"), ("b/2.png", &noise)]);
        let error = list(&plain[..9000]).unwrap_err();
        assert_eq!(error.members, 1, "{error}");
        for packed in [gz(&plain), xz(&plain)] {
            for cut in [packed.len() / 2, packed.len() - 3] {
                assert!(list(&packed[..cut]).is_err(), "cut at {cut}");
            }
        }
        assert!(list(b"").unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn arbitrary_and_changed_bytes_never_panic(
            kind in 0usize..4,
            noise in proptest::collection::vec(any::<u8>(), 0..600),
            at in any::<proptest::sample::Index>(),
        ) {
            let plain = tar(&[("a/1.png", b"one"), ("b/2.png", &[7; 900])]);
            let mut bytes = match kind {
                0 => noise.clone(),
                1 => plain,
                2 => gz(&plain),
                _ => xz(&plain),
            };
            if kind > 0 {
                let at = at.index(bytes.len());
                for (b, n) in bytes[at..].iter_mut().zip(&noise) {
                    *b = *n;
                }
            }
            if let Ok(files) = list(&bytes) {
                prop_assert!(files.iter().all(|f| f.1.len() <= 10_000));
            }
        }
    }
}
