//! What is known of a source's files, so that unchanged ones are not read again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::data::dataset::sha256;
use crate::run_dir::write_atomic;

/// A file younger than this when it was read may change without its time changing.
const SETTLED_NS: u64 = 2_000_000_000;
const VERSION: u32 = 1;

/// Size and time of a file: when both are as before, so is its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Bytes.
    pub size: u64,
    /// Last change, nanoseconds since 1970.
    pub changed: u64,
}

impl Stamp {
    /// Of the file at `path`.
    pub fn of(path: &Path) -> std::io::Result<Self> {
        let data = path.metadata()?;
        let changed = data.modified()?.duration_since(UNIX_EPOCH);
        Ok(Self {
            size: data.len(),
            changed: changed.map_or(0, |d| d.as_nanos() as u64),
        })
    }
}

/// One image of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its name inside an archive; empty where the file is the image.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// SHA-256 of its content in hexadecimal, or what is wrong with it.
    pub image: Result<String, String>,
    /// Class by the file's own number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<u8>,
}

/// What a file held when it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Size and time.
    pub stamp: Stamp,
    /// Its images.
    pub members: Vec<Member>,
    /// Files of an archive that are no images, by extension.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub others: BTreeMap<String, usize>,
}

/// The files of one source.
#[derive(Debug)]
pub struct Listing {
    path: PathBuf,
    kept: Kept,
    changed: bool,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    version: u32,
    source: String,
    files: BTreeMap<String, FileRecord>,
}

impl Listing {
    /// Of the source at `source`; one that is missing or damaged is empty.
    pub(super) fn open(folder: &Path, source: &Path) -> Self {
        let source = std::path::absolute(source).unwrap_or_else(|_| source.to_owned());
        let source = source.display().to_string();
        let path = folder.join(format!("{}.json", &sha256(source.as_bytes())[..16]));
        let kept = std::fs::read(&path)
            .ok()
            .and_then(|bytes| serde_json::from_slice::<Kept>(&bytes).ok())
            .filter(|kept| kept.version == VERSION && kept.source == source);
        Self {
            path,
            kept: kept.unwrap_or(Kept {
                version: VERSION,
                source,
                files: BTreeMap::new(),
            }),
            changed: false,
        }
    }

    /// What the file `name` held, if it is unchanged.
    pub fn get(&self, name: &str, stamp: Stamp) -> Option<&FileRecord> {
        self.kept.files.get(name).filter(|r| r.stamp == stamp)
    }

    /// Remembers a file, unless it has only just been written.
    pub fn put(&mut self, name: &str, record: FileRecord) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |d| d.as_nanos() as u64);
        if record.stamp.changed.saturating_add(SETTLED_NS) < now {
            self.kept.files.insert(name.to_owned(), record);
            self.changed = true;
        }
    }

    /// Writes the listing; without it the files are only read again, so failure is silent.
    pub fn save(&mut self) {
        if std::mem::take(&mut self.changed)
            && let Some(folder) = self.path.parent()
            && std::fs::create_dir_all(folder).is_ok()
            && let Ok(bytes) = serde_json::to_vec(&self.kept)
        {
            let _ = write_atomic(&self.path, &bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(changed: u64) -> FileRecord {
        FileRecord {
            stamp: Stamp { size: 5, changed },
            members: vec![Member {
                name: String::new(),
                image: Err("empty".into()),
                label: None,
            }],
            others: BTreeMap::new(),
        }
    }

    #[test]
    fn unchanged_files_are_known_and_fresh_ones_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Listing::open(folder.path(), Path::new("/photos"));
        let mut listing = open();
        listing.put("a.png", record(77));
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_nanos() as u64;
        listing.put("b.png", record(now));
        listing.save();
        let listing = open();
        assert_eq!(
            listing.get(
                "a.png",
                Stamp {
                    size: 5,
                    changed: 77
                }
            ),
            Some(&record(77))
        );
        assert_eq!(
            listing.get(
                "a.png",
                Stamp {
                    size: 6,
                    changed: 77
                }
            ),
            None
        );
        assert_eq!(
            listing.get(
                "b.png",
                Stamp {
                    size: 5,
                    changed: now
                }
            ),
            None
        );
        let path = std::fs::read_dir(folder.path())
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path();
        std::fs::write(path, b"{\"version\":1,").unwrap();
        assert_eq!(
            open().get(
                "a.png",
                Stamp {
                    size: 5,
                    changed: 77
                }
            ),
            None
        );
    }
}
