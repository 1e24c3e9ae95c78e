//! Archives of images: `.tar`, `.tar.xz`, `.tar.gz`, read once from front to back.

use std::io::{self, BufReader, Read};

use thiserror::Error;

/// Memory that unpacking may take, in KiB: xz's strongest preset needs 65 MiB.
const XZ_MEMORY_KIB: u32 = 128 << 10;
/// An entry that only describes the next one is at most as long.
const MOST_HEADER: u64 = 1 << 16;
/// Longest name: systems have paths of 4 KiB.
const MOST_NAME: usize = 4096;
/// Images hardly shrink: what unpacks to so many times its size holds none.
const MOST_RATIO: u64 = 500;
/// Small archives may shrink more.
const FREE: u64 = 64 << 20;
/// Packers that cut a gzip file into parts make them of 64 KB and more: so many bytes of each at
/// least, but for some parts.
const LEAST_PART: u64 = 1 << 10;
const FREE_PARTS: u64 = 1 << 10;

/// An archive that can't be read to its end.
#[derive(Debug, Error)]
#[error("the archive is damaged after {members} files: {why}")]
pub(crate) struct ArchiveError {
    /// Files read before.
    pub members: usize,
    /// What the unpacker says.
    pub why: String,
}

/// Whether a file name ends like an archive's that is read here.
pub(crate) fn is_archive_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    [".tar", ".tar.xz", ".txz", ".tar.gz", ".tgz"]
        .iter()
        .any(|end| name.ends_with(end))
}

/// One file of an archive.
pub(crate) struct Entry<'a> {
    /// Its path.
    pub name: String,
    /// Announced bytes.
    pub size: u64,
    data: &'a mut dyn Read,
}

impl Entry<'_> {
    /// The next `most` of its bytes, or fewer at its end.
    ///
    /// # Errors
    /// Damage of the archive.
    pub(crate) fn start(&mut self, most: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.data.take(most).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// All of its bytes. The caller has looked whether there is room for [`Self::size`].
    ///
    /// # Errors
    /// Fewer bytes than announced; memory that is not there.
    pub(crate) fn read(&mut self) -> io::Result<Vec<u8>> {
        let room = usize::try_from(self.size).map_err(|_| io::ErrorKind::OutOfMemory)?;
        let mut bytes = Vec::new();
        bytes
            .try_reserve_exact(room)
            .map_err(|_| io::ErrorKind::OutOfMemory)?;
        self.data.take(self.size).read_to_end(&mut bytes)?;
        if bytes.len() < room {
            return Err(io::Error::other(format!(
                "{} ends after {} of {room} bytes",
                self.name,
                bytes.len()
            )));
        }
        Ok(bytes)
    }
}

/// Calls `each` for every file of an archive of `packed` bytes until it returns false; the
/// packing is told by its first bytes. Links and special files are passed over.
///
/// # Errors
/// Damage, or what `each` says, with the number of files read before it.
pub(crate) fn for_each(
    file: impl Read,
    packed: u64,
    mut each: impl FnMut(&mut Entry) -> io::Result<bool>,
) -> Result<(), ArchiveError> {
    let mut members = 0;
    let walk = || -> io::Result<()> {
        let mut archive = tar::Archive::new(unpacked(file, packed)?);
        // Raw: the reader of long names believes their announced size.
        let entries = archive.entries()?.raw(true);
        let mut next = Next::default();
        for entry in entries {
            let mut entry = entry?;
            if let Some(name) = described(&mut entry, &mut next)? {
                let size = entry.size();
                let data = &mut entry;
                let more = each(&mut Entry { name, size, data })?;
                members += 1;
                if !more {
                    return Ok(());
                }
            }
        }
        // A cut archive may end at a file's border; its packing knows better.
        io::copy(&mut archive.into_inner(), &mut io::sink())?;
        Ok(())
    };
    let outcome = walk();
    outcome.map_err(|e| ArchiveError {
        members,
        why: e.to_string(),
    })
}

/// The plain archive, which ends in an error where it grows beyond all measure.
fn unpacked<'a>(file: impl Read + 'a, packed: u64) -> io::Result<Box<dyn Read + 'a>> {
    let mut file = BufReader::with_capacity(1 << 16, file);
    let start = io::BufRead::fill_buf(&mut file)?;
    let (xz, gz) = (
        start.starts_with(&[0xfd, b'7', b'z', b'X', b'Z', 0]),
        start.starts_with(&[0x1f, 0x8b]),
    );
    let left = packed.saturating_mul(MOST_RATIO).saturating_add(FREE);
    Ok(if xz {
        let plain = lzma_rust2::XzReader::new_mem_limit(file, true, XZ_MEMORY_KIB);
        Box::new(Bounded {
            inner: BufReader::with_capacity(1 << 16, plain),
            left,
        })
    } else if gz {
        let parts = packed / LEAST_PART + FREE_PARTS;
        let inner = Gzip::new(file, parts);
        Box::new(Bounded { inner, left })
    } else {
        Box::new(file)
    })
}

/// A gzip file of one or more parts, which ends in an error where it has too many.
struct Gzip<R> {
    /// None only while one part gives way to the next.
    part: Option<flate2::bufread::GzDecoder<R>>,
    left: u64,
}

impl<R: io::BufRead> Gzip<R> {
    fn new(file: R, parts: u64) -> Self {
        Self {
            part: Some(flate2::bufread::GzDecoder::new(file)),
            left: parts,
        }
    }
}

impl<R: io::BufRead> Read for Gzip<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        while let Some(part) = &mut self.part {
            let n = part.read(bytes)?;
            if n > 0 || bytes.is_empty() {
                return Ok(n);
            }
            let mut file = self.part.take().map(flate2::bufread::GzDecoder::into_inner);
            if let Some(file) = file.take_if(|f| f.fill_buf().is_ok_and(|rest| !rest.is_empty())) {
                self.left = self
                    .left
                    .checked_sub(1)
                    .ok_or_else(|| io::Error::other("it is cut into too many parts"))?;
                self.part = Some(flate2::bufread::GzDecoder::new(file));
            }
        }
        Ok(0)
    }
}

struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(bytes)?;
        self.left = self.left.checked_sub(n as u64).ok_or_else(|| {
            io::Error::other(format!(
                "it unpacks to more than {MOST_RATIO} times its size"
            ))
        })?;
        Ok(n)
    }
}

/// What entries before a file say of it.
#[derive(Default)]
struct Next {
    name: Option<String>,
    size: Option<u64>,
}

fn sparse() -> io::Error {
    io::Error::other("a file in it is stored as sparse: pack it without --sparse")
}

/// The name of an entry that is a file. One that only describes the next is remembered.
fn described(entry: &mut tar::Entry<impl Read>, next: &mut Next) -> io::Result<Option<String>> {
    let kind = entry.header().entry_type();
    let (name, pax) = (kind.is_gnu_longname(), kind.is_pax_local_extensions());
    if name || pax || kind.is_gnu_longlink() || kind.is_pax_global_extensions() {
        let size = entry.size();
        if size > MOST_HEADER {
            return Err(io::Error::other(format!(
                "a name or description in it has {size} bytes"
            )));
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        if name {
            let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
            next.name = Some(text(&bytes[..end]));
        } else if pax {
            for record in tar::PaxExtensions::new(&bytes) {
                // Values with line breaks are not read, as by other readers of the format.
                let Ok(record) = record else { continue };
                match record.key_bytes() {
                    b"path" => next.name = Some(text(record.value_bytes())),
                    b"size" => next.size = record.value().ok().and_then(|s| s.parse().ok()),
                    key if key.starts_with(b"GNU.sparse.") => return Err(sparse()),
                    _ => {}
                }
            }
        }
        return Ok(None);
    }
    let next = std::mem::take(next);
    if kind.is_gnu_sparse() {
        return Err(sparse());
    }
    // Only files of more than 8 GB have another size there.
    if next.size.is_some_and(|size| size != entry.size()) {
        return Err(io::Error::other("a file in it has more than 8 GB"));
    }
    let name = next.name.unwrap_or_else(|| text(&entry.path_bytes()));
    if name.len() > MOST_NAME {
        return Err(io::Error::other(format!(
            "a file in it has a name of {} bytes, {MOST_NAME} are the most",
            name.len()
        )));
    }
    Ok(kind.is_file().then_some(name))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
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
        for_each(bytes, bytes.len() as u64, |entry| {
            all.push((entry.name.clone(), entry.read()?));
            Ok(true)
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

    /// A header of the given kind that announces `size` bytes.
    fn header(kind: tar::EntryType, size: u64) -> Vec<u8> {
        let mut header = tar::Header::new_gnu();
        header.set_path("x").unwrap();
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_cksum();
        header.as_bytes().to_vec()
    }

    #[test]
    fn names_of_gigabytes_and_endless_zeros_are_refused() {
        for kind in [
            tar::EntryType::GNULongName,
            tar::EntryType::GNULongLink,
            tar::EntryType::XHeader,
            tar::EntryType::XGlobalHeader,
        ] {
            let text = list(&header(kind, 3_600_000_000)).unwrap_err().to_string();
            assert!(text.contains("has 3600000000 bytes"), "{text}");
        }
        let text = list(&header(tar::EntryType::GNUSparse, 9)).unwrap_err();
        assert!(text.to_string().contains("sparse"), "{text}");
        // Before the first file, between two, after the last: all of it would be unpacked.
        let zeros = vec![0; 200 << 20];
        for start in [vec![], header(tar::EntryType::Regular, zeros.len() as u64)] {
            let bytes = gz(&[start, zeros.clone()].concat());
            let found = for_each(bytes.as_slice(), 1000, |_| Ok(true)).unwrap_err();
            assert!(found.why.contains("500 times its size"), "{found}");
        }
    }

    #[test]
    fn long_names_of_both_kinds_are_read() {
        let long = format!("{}/1.png", "folder/".repeat(40));
        assert_eq!(list(&tar(&[(&long, b"one")])).unwrap()[0].0, long);
        let record = format!("{} path={long}\n", long.len() + 10);
        assert_eq!(record.len(), long.len() + 10);
        let mut bytes = header(tar::EntryType::XHeader, record.len() as u64);
        bytes.extend(record.as_bytes());
        bytes.resize(1024, 0);
        bytes.extend(tar(&[("short", b"one"), ("next", b"two")]));
        let found = list(&bytes).unwrap();
        assert_eq!(
            (found[0].0.as_str(), found[1].0.as_str()),
            (long.as_str(), "next")
        );
    }

    #[test]
    fn parts_of_gzip_are_one_archive_but_not_millions_of_them() {
        let plain = tar(&[("a/1.png", b"one"), ("b/2.png", b"two")]);
        let (first, second) = plain.split_at(700);
        let mut both = gz(first);
        both.extend(gz(second));
        assert_eq!(list(&both).unwrap(), list(&plain).unwrap());
        let many = gz(b"").repeat(100_000);
        let why = list(&many).unwrap_err().why;
        assert!(why.contains("too many parts"), "{why}");
    }

    #[test]
    fn a_name_longer_than_a_path_is_refused() {
        let name = "n".repeat(5000);
        let plain = tar(&[(name.as_str(), b"one")]);
        let why = list(&plain).unwrap_err().why;
        assert!(why.contains("a name of 5000 bytes"), "{why}");
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
