//! The run directory: one folder per stage, every file whole or absent.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::run::error::RunDirError;
use crate::run::record::Artifact;
use crate::run::stage::Stage;
use crate::util::files::{clean_up_parts, read_file, read_text, write_atomic};
use crate::util::hash::hex;

/// The files of a run directory that say what the run was made with.
pub(crate) const SETTINGS: [&str; 2] = ["run.toml", "provenance.json"];

/// A run directory that exists and is held by this process.
#[derive(Debug)]
pub(crate) struct RunDir {
    root: PathBuf,
    _lock: std::fs::File,
    memory: Mutex<Memory>,
}

/// What this process knows of the directory.
#[derive(Debug, Default)]
struct Memory {
    /// Files as they were written or found whole.
    files: BTreeMap<PathBuf, Artifact>,
    /// Texts of the settings, by file name.
    settings: BTreeMap<String, String>,
}

impl RunDir {
    /// Opens `root`, creating it where needed, and takes its lock. With `fresh`, what earlier
    /// runs left is deleted first.
    ///
    /// # Errors
    /// An unwritable directory, or one in use.
    pub(crate) fn open(root: &Path, fresh: bool) -> Result<Self, RunDirError> {
        let write = |path: PathBuf| move |source| RunDirError::Write { path, source };
        std::fs::create_dir_all(root).map_err(write(root.to_owned()))?;
        let path = root.join(".lock");
        if path.metadata().is_ok_and(|about| !about.is_file()) {
            let source = io::Error::other("it is no regular file");
            return Err(RunDirError::Write { path, source });
        }
        let lock = std::fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(write(path))?;
        if lock.try_lock().is_err() {
            return Err(RunDirError::Busy {
                path: root.to_owned(),
            });
        }
        let dir = Self {
            root: root.to_owned(),
            _lock: lock,
            memory: Mutex::default(),
        };
        clean_up_parts(root);
        for stage in Stage::ALL {
            clean_up_parts(&root.join(stage.folder()));
        }
        if fresh {
            for stage in Stage::ALL {
                dir.remove(&stage.folder())?;
            }
            for file in SETTINGS.iter().chain(&["data.json", "report.html"]) {
                dir.remove(file)?;
            }
        }
        Ok(dir)
    }

    /// The directory.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A stage's file; the stage's folder is created.
    ///
    /// # Errors
    /// An unwritable directory.
    pub(crate) fn file(&self, stage: Stage, name: &str) -> Result<PathBuf, RunDirError> {
        let folder = self.root.join(stage.folder());
        std::fs::create_dir_all(&folder).map_err(|source| RunDirError::Write {
            path: folder.clone(),
            source,
        })?;
        Ok(folder.join(name))
    }

    /// Whether the stage has ended: its last act is to write `done.json`.
    pub(crate) fn is_done(&self, stage: Stage) -> bool {
        self.root.join(stage.folder()).join("done.json").is_file()
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that the file at `path` is whole and has these bytes.
    pub(crate) fn know(&self, path: &Path, bytes: &[u8]) {
        let artifact = Artifact::of(bytes);
        self.memory().files.insert(path.to_owned(), artifact);
    }

    /// The file at `path` as this process has written it or found it whole.
    pub(crate) fn known(&self, path: &Path) -> Option<Artifact> {
        self.memory().files.get(path).cloned()
    }

    /// All such files of a stage, by name, but its own record.
    pub(crate) fn known_in(&self, stage: Stage) -> BTreeMap<String, Artifact> {
        let folder = self.root.join(stage.folder());
        let memory = self.memory();
        let files = memory.files.iter();
        let inside = files.filter(|(path, _)| path.parent() == Some(&folder));
        inside
            .map(|(path, artifact)| {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                (name.into_owned(), artifact.clone())
            })
            .filter(|(name, _)| name != "done.json")
            .collect()
    }

    /// Notes a text of the settings, which stages record beside what they make.
    pub(crate) fn set_settings(&self, name: &str, text: &str) {
        let (name, text) = (name.to_owned(), text.to_owned());
        self.memory().settings.insert(name, text);
    }

    /// What [`Self::set_settings`] was told.
    pub(crate) fn settings(&self) -> BTreeMap<String, String> {
        self.memory().settings.clone()
    }

    /// Writes `text` into the file `name` of a new directory; an old one must hold the same.
    /// `what` is made there: "run".
    ///
    /// # Errors
    /// Another text, with the first line that differs; an unreadable or unwritable file.
    pub(crate) fn keep(
        &self,
        name: &str,
        text: &str,
        what: &'static str,
    ) -> Result<(), RunDirError> {
        let path = self.root.join(name);
        match read_text(&path) {
            Ok(old) if old != text => {
                let line = old.lines().zip(text.lines()).find(|(a, b)| a != b);
                let (old, new) = line.unwrap_or(("its length", "this one's"));
                Err(RunDirError::OtherSettings {
                    root: self.root.clone(),
                    what,
                    file: name.to_owned(),
                    difference: format!("`{}` there, `{}` asked for", old.trim(), new.trim()),
                    advice:
                        "start over with --fresh, or choose another directory with --run-dir DIR"
                            .to_owned(),
                })
            }
            Ok(_) => Ok(()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => self.write(&path, text.as_bytes()),
            Err(source) => Err(RunDirError::Read { path, source }),
        }
    }

    /// [`Self::keep`] for `text`, which is `value` in TOML. What an older version wrote is the same
    /// where it reads as the same value: keys that it did not know have their defaults.
    ///
    /// # Errors
    /// As [`Self::keep`].
    pub(crate) fn keep_settings<T: DeserializeOwned + PartialEq>(
        &self,
        name: &str,
        (text, value): (&str, &T),
        what: &'static str,
    ) -> Result<(), RunDirError> {
        let old = read_text(&self.root.join(name)).ok();
        let old: Option<T> = old.and_then(|old| toml::from_str(&old).ok());
        if old.as_ref() == Some(value) {
            return Ok(());
        }
        self.keep(name, text, what)
    }

    /// SHA-256 of what [`Self::keep`] has put into `names`: all that a training depends on.
    ///
    /// # Errors
    /// A file that can't be read.
    pub(crate) fn identity(&self, names: &[&str]) -> Result<String, RunDirError> {
        let mut sha = Sha256::new();
        for name in names {
            let path = self.root.join(name);
            let bytes = read_file(&path).map_err(|source| RunDirError::Read { path, source })?;
            sha.update(bytes.len().to_le_bytes());
            sha.update(bytes);
        }
        Ok(hex(&sha.finalize()))
    }

    /// Forgets a stage and all after it.
    ///
    /// # Errors
    /// A folder that can't be deleted.
    pub(crate) fn forget_from(&self, stage: Stage) -> Result<(), RunDirError> {
        for later in Stage::ALL.into_iter().filter(|s| *s >= stage) {
            self.remove(&later.folder())?;
        }
        // It shows what is gone.
        self.remove("report.html")
    }

    /// Whether no stage has left anything.
    pub(crate) fn is_new(&self) -> bool {
        Stage::ALL.iter().all(|stage| {
            let entries = std::fs::read_dir(self.root.join(stage.folder()));
            entries.is_ok_and(|mut entries| entries.next().is_none())
                || !self.root.join(stage.folder()).exists()
        })
    }

    /// Writes a value as JSON, whole or not at all.
    ///
    /// # Errors
    /// An unwritable directory.
    pub(crate) fn write_json<T: Serialize>(
        &self,
        path: &Path,
        value: &T,
    ) -> Result<(), RunDirError> {
        let mut text = serde_json::to_vec_pretty(value).map_err(|e| RunDirError::Damaged {
            path: path.to_owned(),
            why: e.to_string(),
        })?;
        text.push(b'\n');
        self.write(path, &text)
    }

    /// Writes bytes, whole or not at all.
    ///
    /// # Errors
    /// An unwritable directory.
    pub(crate) fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), RunDirError> {
        write_atomic(path, bytes).map_err(|source| RunDirError::Write {
            path: path.to_owned(),
            source,
        })?;
        self.know(path, bytes);
        Ok(())
    }

    /// Deletes a file or folder; one that is not there is none to delete.
    ///
    /// # Errors
    /// What keeps it from being deleted.
    pub(crate) fn remove(&self, name: &str) -> Result<(), RunDirError> {
        let path = self.root.join(name);
        self.memory()
            .files
            .retain(|file, _| !file.starts_with(&path));
        let outcome = if path.is_dir() {
            std::fs::remove_dir_all(&path)
        } else {
            std::fs::remove_file(&path)
        };
        match outcome {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(RunDirError::Write { path, source })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, serde::Deserialize)]
    struct Summary {
        value: u8,
    }

    const SUMMARY: Summary = Summary { value: 7 };

    #[test]
    fn a_half_written_file_is_never_taken_for_a_whole_one() {
        let root = tempfile::tempdir().unwrap();
        let dir = RunDir::open(root.path(), false).unwrap();
        let done = dir.file(Stage::Teacher, "done.json").unwrap();
        std::fs::write(done.with_file_name("done.json.part"), b"{\"x\":").unwrap();
        assert!(!dir.is_done(Stage::Teacher));
        dir.finish(Stage::Teacher, &SUMMARY).unwrap();
        assert!(dir.is_done(Stage::Teacher));
        assert_eq!(dir.summary::<Summary>(Stage::Teacher).unwrap(), SUMMARY);
        std::fs::write(&done, b"[").unwrap();
        let text = dir.summary::<Summary>(Stage::Teacher).unwrap_err();
        let text = text.to_string();
        assert!(text.contains("damaged") && text.contains("do:"), "{text}");
    }

    #[test]
    fn settings_of_an_older_version_are_the_same_where_they_read_so() {
        #[derive(Debug, PartialEq, Serialize, serde::Deserialize)]
        struct Settings {
            steps: u32,
            #[serde(default)]
            newer: bool,
        }
        let root = tempfile::tempdir().unwrap();
        let dir = RunDir::open(root.path(), false).unwrap();
        let keep = |steps, newer| {
            let settings = Settings { steps, newer };
            let text = toml::to_string_pretty(&settings).unwrap();
            dir.keep_settings("settings.toml", (&text, &settings), "test")
        };
        let file = root.path().join("settings.toml");
        std::fs::write(&file, "steps = 3\n").unwrap();
        keep(3, false).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "steps = 3\n");
        for other in [keep(3, true), keep(4, false)] {
            assert!(matches!(other, Err(RunDirError::OtherSettings { .. })));
        }
    }

    #[test]
    fn one_process_at_a_time_and_fresh_starts_over() {
        let root = tempfile::tempdir().unwrap();
        let dir = RunDir::open(root.path(), false).unwrap();
        dir.finish(Stage::Pack, &SUMMARY).unwrap();
        assert!(matches!(
            RunDir::open(root.path(), false),
            Err(RunDirError::Busy { .. })
        ));
        drop(dir);
        assert!(
            RunDir::open(root.path(), false)
                .unwrap()
                .is_done(Stage::Pack)
        );
        assert!(
            !RunDir::open(root.path(), true)
                .unwrap()
                .is_done(Stage::Pack)
        );
    }

    #[test]
    fn an_unwritable_place_is_named() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        std::fs::write(&file, b"").unwrap();
        let text = RunDir::open(&file.join("run"), false)
            .unwrap_err()
            .to_string();
        assert!(
            text.contains("file/run") && text.contains("--run-dir"),
            "{text}"
        );
    }

    #[test]
    fn forgetting_a_stage_forgets_what_follows() {
        let root = tempfile::tempdir().unwrap();
        let dir = RunDir::open(root.path(), false).unwrap();
        for stage in Stage::ALL {
            dir.finish(stage, &SUMMARY).unwrap();
        }
        dir.forget_from(Stage::Distill).unwrap();
        let left: Vec<_> = Stage::ALL.into_iter().filter(|s| dir.is_done(*s)).collect();
        assert_eq!(left, [Stage::Teacher, Stage::PseudoLabels, Stage::Student]);
    }
}
