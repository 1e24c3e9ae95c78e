//! What is known of a source's files, so that unchanged ones are not read again.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::checked::{opened, sealed};
use crate::data::memory::Budget;
use crate::util::files::write_atomic;
use crate::util::hash::sha256;
use crate::util::regular;

/// A file that changed this long before it was looked at may change again without its times
/// changing: they are as coarse as the kernel's clock, or as whole or even seconds.
const TICK_NS: u64 = 20_000_000;
const COARSE_NS: u64 = 2_000_000_000;
const SECOND_NS: u64 = 1_000_000_000;
/// Whatever a new version says otherwise of a file, it reads again.
const VERSION: u32 = 2;

/// When all of this is as before, so is a file's content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    /// Bytes.
    pub size: u64,
    /// Last change of the content, nanoseconds since 1970. Copying and unpacking set it at will.
    pub changed: u64,
    /// Last change of anything, which nobody sets: content, permissions, name. 0 where the
    /// system does not know it.
    pub touched: u64,
    /// Which file a name stands for: two that are swapped keep their times.
    pub file: u64,
}

impl Stamp {
    /// Of a file.
    pub(crate) fn of(data: &Metadata) -> Self {
        let changed = data.modified().ok().and_then(nanoseconds).unwrap_or(0);
        #[cfg(unix)]
        let (touched, file) = {
            use std::os::unix::fs::MetadataExt;
            let seconds = u64::try_from(data.ctime()).unwrap_or(0);
            let rest = u64::try_from(data.ctime_nsec()).unwrap_or(0);
            (
                seconds.saturating_mul(SECOND_NS).saturating_add(rest),
                data.ino(),
            )
        };
        #[cfg(not(unix))]
        let (touched, file) = (0, 0);
        Self {
            size: data.len(),
            changed,
            touched,
            file,
        }
    }

    /// Of the file at `path`.
    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        path.metadata().map(|data| Self::of(&data))
    }

    /// Of this file and another one together.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            size: self.size.wrapping_add(other.size),
            changed: self.changed.max(other.changed),
            touched: self.touched.max(other.touched),
            file: self.file ^ other.file.rotate_left(32),
        }
    }

    /// Whether a change from now on will change the stamp.
    pub(crate) fn is_settled(&self) -> bool {
        let last = if self.touched > 0 {
            self.touched
        } else {
            self.changed
        };
        let window = if self.touched > 0 && last % SECOND_NS != 0 {
            TICK_NS
        } else {
            COARSE_NS
        };
        let now = nanoseconds(SystemTime::now()).unwrap_or(0);
        last.saturating_add(window) < now
    }
}

fn nanoseconds(time: SystemTime) -> Option<u64> {
    let since = time.duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(since.as_nanos()).ok()
}

/// One image of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Member {
    /// Its name inside an archive; empty where the file is the image.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// SHA-256 of its content in hexadecimal, or what is wrong with that content.
    pub image: Result<String, String>,
    /// Class by the file's own number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<u8>,
}

/// What a file held when it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileRecord {
    /// Of the file when it was opened.
    pub stamp: Stamp,
    /// Its images.
    pub members: Vec<Member>,
    /// Files of an archive that are no images, by extension.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub others: BTreeMap<String, usize>,
}

/// The files of one source.
#[derive(Debug)]
pub(crate) struct Listing {
    path: PathBuf,
    kept: Kept,
    changed: bool,
    damaged: Option<String>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    version: u32,
    source: String,
    files: BTreeMap<String, FileRecord>,
}

impl Listing {
    /// Of the source at `source`; one that is missing, damaged or of another version is empty.
    pub(super) fn open(folder: &Path, source: &Path) -> Self {
        let source = std::path::absolute(source).unwrap_or_else(|_| source.to_owned());
        let source = source.display().to_string();
        let path = folder.join(format!("{}.json", &sha256(source.as_bytes())[..16]));
        let (kept, damaged) = match regular::read(&path, Budget::shared().limit()) {
            Ok(bytes) => match parse(&bytes) {
                Ok(kept) => (kept, None),
                Err(why) => (None, Some(why.to_owned())),
            },
            Err(e) if e.kind() == io::ErrorKind::NotFound => (None, None),
            Err(e) => (None, Some(format!("can't be read: {e}"))),
        };
        let damaged = damaged.map(|why| format!("{}: {why}", path.display()));
        Self {
            path,
            kept: kept.filter(|k| k.source == source).unwrap_or(Kept {
                version: VERSION,
                source,
                files: BTreeMap::new(),
            }),
            changed: false,
            damaged,
        }
    }

    /// What the file `name` held, if it is unchanged.
    pub(crate) fn get(&self, name: &str, stamp: Stamp) -> Option<&FileRecord> {
        self.kept.files.get(name).filter(|r| r.stamp == stamp)
    }

    /// Remembers a file. Its record must hold facts about its content alone.
    pub(crate) fn put(&mut self, name: &str, record: FileRecord) {
        self.kept.files.insert(name.to_owned(), record);
        self.changed = true;
    }

    /// What was wrong with it.
    pub(crate) fn damaged(&self) -> Option<&str> {
        self.damaged.as_deref()
    }

    /// Writes the listing; without it the files are only read again, so failure is silent.
    pub(crate) fn save(&mut self) {
        if std::mem::take(&mut self.changed)
            && let Some(folder) = self.path.parent()
            && std::fs::create_dir_all(folder).is_ok()
            && let Ok(json) = serde_json::to_vec(&self.kept)
        {
            let _ = write_atomic(&self.path, &sealed(&json));
        }
    }
}

/// A listing of this version; nothing for another one.
fn parse(bytes: &[u8]) -> Result<Option<Kept>, &'static str> {
    // Before version 2 there was no checksum.
    if bytes.starts_with(b"{\"version\":1,") {
        return Ok(None);
    }
    let json = opened(bytes)?;
    let kept = serde_json::from_slice::<Kept>(json).ok();
    Ok(kept.filter(|kept| kept.version == VERSION))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(size: u64) -> Stamp {
        Stamp {
            size,
            changed: 77,
            ..Stamp::default()
        }
    }

    fn record() -> FileRecord {
        FileRecord {
            stamp: stamp(5),
            members: vec![Member {
                name: String::new(),
                image: Err("empty".into()),
                label: Some(3),
            }],
            others: BTreeMap::new(),
        }
    }

    #[test]
    fn unchanged_files_are_known() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Listing::open(folder.path(), Path::new("/photos"));
        let mut listing = open();
        listing.put("a.png", record());
        listing.save();
        let listing = open();
        assert_eq!(listing.get("a.png", stamp(5)), Some(&record()));
        assert_eq!(listing.get("a.png", stamp(6)), None);
        assert_eq!(listing.get("b.png", stamp(5)), None);
        assert_eq!(listing.damaged(), None);
    }

    #[test]
    fn a_file_that_has_only_just_changed_may_change_unseen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, b"x").unwrap();
        let now = nanoseconds(SystemTime::now()).unwrap();
        let at = |touched| Stamp {
            touched,
            ..Stamp::default()
        };
        assert!(!at(now + SECOND_NS).is_settled());
        assert!(at((now - 10 * SECOND_NS) / SECOND_NS * SECOND_NS).is_settled());
        // A file system of whole seconds.
        assert!(!at(now / SECOND_NS * SECOND_NS).is_settled());
        assert!(Stamp::at(&path).unwrap().size == 1);
    }

    #[test]
    fn every_changed_bit_of_a_listing_is_seen_and_told() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Listing::open(folder.path(), Path::new("/photos"));
        let mut listing = open();
        listing.put("a.png", record());
        listing.save();
        let path = listing.path.clone();
        let good = std::fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            std::fs::write(&path, &bad).unwrap();
            let listing = open();
            assert_eq!(listing.get("a.png", stamp(5)), None);
            let text = listing.damaged().unwrap();
            assert!(text.contains(".json: it does not match"), "{at}: {text}");
        }
        std::fs::write(&path, &good[..5]).unwrap();
        assert!(open().damaged().unwrap().contains("cut"));
    }
}
