//! Files that are read within bounds and written whole or not at all.

use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::regular;

/// Longest file that is read into memory: the snapshot of a training of B7 has about 2 GB.
const LONGEST_FILE: u64 = 8 << 30;

/// Longest text: a `run.toml` has some kilobytes.
const LONGEST_TEXT: u64 = 16 << 20;

/// The bytes of a regular file. What waits for a writer or has no end, such as a FIFO or /dev/zero,
/// is refused before it is opened.
pub(crate) fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    regular::read(path, LONGEST_FILE)
}

/// The text of a regular file.
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    let bytes = regular::read(path, LONGEST_TEXT)?;
    String::from_utf8(bytes).map_err(|_| io::Error::other("it is not UTF-8 text"))
}

/// Temporary file beside the target, fsync, rename: a reader finds the old file or the new one.
///
/// The temporary file is a new one of this process alone, `NAME.PROCESS-NUMBER.part`: whatever lies
/// at a name that somebody could foresee is neither opened nor followed.
pub(crate) fn write_atomic(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (part, mut file) = new_part(path)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    let written = written.and_then(|()| std::fs::rename(&part, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    written?;
    // The rename itself must reach the disk; not every file system lets a folder be opened.
    if let Some(Ok(folder)) = path.parent().map(File::open) {
        let _ = folder.sync_all();
    }
    Ok(())
}

/// A new file beside `path`, locked where the file system has locks.
pub(crate) fn new_part(path: &Path) -> io::Result<(PathBuf, File)> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    loop {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}-{number}.part", std::process::id()));
        let part = path.with_file_name(name);
        match File::create_new(&part) {
            // Of a process that had this number and was killed.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => continue,
            Err(e) => return Err(e),
            Ok(file) => {
                let _ = file.try_lock();
                // Another process may have taken it for a dead one's before it was locked.
                if part.symlink_metadata().is_ok() {
                    return Ok((part, file));
                }
            }
        }
    }
}

/// Removes the parts in `folder` whose writers are dead.
pub(crate) fn clean_up_parts(folder: &Path) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for path in entries.map(|e| e.path()) {
        if path.extension().is_some_and(|e| e == "part") {
            clean_up(&path);
        }
    }
}

/// Removes a part whose writer is dead.
pub(crate) fn clean_up(path: &Path) {
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
    fn what_is_no_file_or_has_no_end_is_not_read() {
        for path in ["/dev/zero", "/"] {
            assert!(read_file(Path::new(path)).is_err(), "{path}");
            assert!(read_text(Path::new(path)).is_err(), "{path}");
        }
    }

    #[test]
    fn parts_of_the_dead_go_and_one_being_written_stays() {
        let folder = tempfile::tempdir().unwrap();
        let dead = folder.path().join("a.1-0.part");
        std::fs::write(&dead, [0; 99]).unwrap();
        let (part, _file) = new_part(&folder.path().join("a")).unwrap();
        clean_up_parts(folder.path());
        assert!(!dead.exists() && part.exists());
    }

    #[cfg(unix)]
    #[test]
    fn writing_follows_no_link_and_waits_for_no_fifo() {
        let folder = tempfile::tempdir().unwrap();
        let (precious, target) = (folder.path().join("precious"), folder.path().join("a"));
        std::fs::write(&precious, b"mine").unwrap();
        for number in 0..2000 {
            let name = format!("a.{}-{number}.part", std::process::id());
            std::os::unix::fs::symlink(&precious, folder.path().join(name)).unwrap();
        }
        std::os::unix::fs::symlink(&precious, folder.path().join("a.part")).unwrap();
        write_atomic(&target, b"new").unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"new");
        assert!(!target.symlink_metadata().unwrap().is_symlink());
        assert_eq!(std::fs::read(&precious).unwrap(), b"mine");
    }
}
