//! Files that are read within bounds and written whole or not at all.

use std::io::{self, Write};
use std::path::Path;

/// Longest file that is read into memory: the snapshot of a training of B7 has about 2 GB.
const LONGEST_FILE: u64 = 8 << 30;

/// The bytes of a regular file. A device without an end, such as /dev/zero, or a file that no net
/// needs, is refused before memory is reserved.
pub(crate) fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    use std::io::Read as _;
    // Before it is opened: opening a pipe waits for its writer.
    let about = std::fs::metadata(path)?;
    if !about.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    if about.len() > LONGEST_FILE {
        let (bytes, most) = (about.len(), LONGEST_FILE);
        return Err(io::Error::other(format!(
            "it has {bytes} bytes; {most} are read at most"
        )));
    }
    let mut bytes = Vec::with_capacity(about.len() as usize);
    let file = std::fs::File::open(path)?;
    file.take(LONGEST_FILE).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Temporary file beside the target, fsync, rename: a reader finds the old file or the new one.
pub(crate) fn write_atomic(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = path.with_file_name(name);
    let mut file = std::fs::File::create(&part)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&part, path)?;
    // The rename itself must reach the disk; not every file system lets a folder be opened.
    if let Some(Ok(folder)) = path.parent().map(std::fs::File::open) {
        let _ = folder.sync_all();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_or_has_no_end_is_not_read() {
        for path in ["/dev/zero", "/"] {
            assert!(read_file(Path::new(path)).is_err(), "{path}");
        }
    }
}
