//! All files below a folder, sorted; hidden ones are passed over, loops of links end.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::error::SourceError;

/// What is below a folder: paths relative to it, `/` between folders, in ascending order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Walked {
    /// Files.
    pub files: Vec<String>,
    /// Folders without any file or folder.
    pub empty: Vec<String>,
}

/// Walks through `root`.
///
/// # Errors
/// A folder that can't be read.
pub(super) fn walk(root: &Path) -> Result<Walked, SourceError> {
    let (mut files, mut empty) = (Vec::new(), Vec::new());
    let mut seen: HashSet<PathBuf> = HashSet::new();
    let mut folders = vec![(root.to_owned(), String::new())];
    while let Some((folder, prefix)) = folders.pop() {
        let fail = |source| SourceError::Io {
            path: folder.clone(),
            source,
        };
        // A link back to a folder already seen would never end.
        if !seen.insert(folder.canonicalize().map_err(fail)?) {
            continue;
        }
        let mut entries = 0;
        for entry in std::fs::read_dir(&folder).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') || name == "__MACOSX" {
                continue;
            }
            entries += 1;
            let path = entry.path();
            // Follows links; a dangling one is a file that will be reported as unreadable.
            if path.is_dir() {
                folders.push((path, format!("{prefix}{name}/")));
            } else {
                files.push(format!("{prefix}{name}"));
            }
        }
        if entries == 0 {
            empty.push(prefix.trim_end_matches('/').to_owned());
        }
    }
    files.sort_unstable();
    empty.sort_unstable();
    Ok(Walked { files, empty })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_loop_of_links_ends() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("a")).unwrap();
        std::fs::write(folder.path().join("a/1.png"), b"").unwrap();
        std::fs::create_dir_all(folder.path().join("b/c")).unwrap();
        std::os::unix::fs::symlink(folder.path(), folder.path().join("a/up")).unwrap();
        let walked = walk(folder.path()).unwrap();
        assert_eq!(walked.files, ["a/1.png"]);
        assert_eq!(walked.empty, ["b/c"]);
    }
}
