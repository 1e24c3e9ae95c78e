//! Opening and reading files of the user's, which may be anything: only regular files are read.
//!
//! A FIFO would wait for a writer for ever and `/dev/zero` has no end, so the kind is checked
//! before the file is opened, and once more on the open file, which cannot be swapped any more.
//! At most the announced number of bytes is read: files of `/proc` announce none.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

/// Opens a regular file for reading, without ever waiting for it.
///
/// # Errors
/// The system's reason, or what the file is instead.
pub(crate) fn open(path: &Path) -> io::Result<(File, Metadata)> {
    // Opening a device may already do something: look first.
    check(&std::fs::metadata(path)?)?;
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
    let file = options.open(path)?;
    let metadata = file.metadata()?;
    check(&metadata)?;
    Ok((file, metadata))
}

/// Reads a whole regular file of at most `most` bytes.
///
/// # Errors
/// As [`open`], or a file that is too large.
pub(crate) fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let (file, metadata) = open(path)?;
    if metadata.len() > most {
        return Err(io::Error::other(format!(
            "{} are too many: at most {} are read",
            crate::util::numbers::bytes(metadata.len()),
            crate::util::numbers::bytes(most)
        )));
    }
    read_open(&file, metadata.len())
}

/// The first `size` bytes of an open file, or fewer where it is shorter.
///
/// # Errors
/// The system's reason; memory that is not there is one of them.
pub(crate) fn read_open(file: &File, size: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let room = usize::try_from(size).map_err(|_| io::ErrorKind::OutOfMemory)?;
    bytes
        .try_reserve_exact(room)
        .map_err(|_| io::ErrorKind::OutOfMemory)?;
    file.take(size).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn check(metadata: &Metadata) -> io::Result<()> {
    if metadata.is_file() {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "{}, not a regular file",
        kind(metadata)
    )))
}

#[cfg(unix)]
fn kind(metadata: &Metadata) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    let kind = metadata.file_type();
    match kind {
        k if k.is_dir() => "a folder",
        k if k.is_fifo() => "a FIFO",
        k if k.is_socket() => "a socket",
        k if k.is_char_device() || k.is_block_device() => "a device",
        _ => "something else",
    }
}

#[cfg(not(unix))]
fn kind(metadata: &Metadata) -> &'static str {
    if metadata.is_dir() {
        "a folder"
    } else {
        "something else"
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_fifo_a_device_a_socket_and_links_to_them_are_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let made = std::process::Command::new("mkfifo")
            .arg(path("fifo"))
            .status();
        assert!(made.unwrap().success());
        let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", path("zero.pgm")).unwrap();
        std::os::unix::fs::symlink(path("fifo"), path("link")).unwrap();
        for (name, kind) in [
            ("fifo", "a FIFO"),
            ("link", "a FIFO"),
            ("socket", "a socket"),
            ("zero.pgm", "a device"),
            ("", "a folder"),
        ] {
            let text = read(&path(name), 99).unwrap_err().to_string();
            assert_eq!(text, format!("{kind}, not a regular file"), "{name}");
        }
    }

    #[test]
    fn a_regular_file_is_read_up_to_a_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, [7; 100]).unwrap();
        assert_eq!(read(&path, 100).unwrap(), [7; 100]);
        assert!(read(&path, 99).unwrap_err().to_string().contains("at most"));
        assert!(read(&path.join("b"), 9).is_err());
    }
}
