//! Where a training begins: at its first step, or where it was interrupted.

use std::path::{Path, PathBuf};

use super::fit::FitError;
use super::snapshot::{Snapshot, Snapshots};

/// A beginning, and where the state is kept from there on.
pub(crate) struct Start {
    /// What the training is called.
    pub name: String,
    folder: PathBuf,
    snapshot: Option<Snapshot>,
    snapshots: Snapshots,
}

impl Start {
    /// Of the training called `name` that keeps its state in `folder`; `key` is all that it depends
    /// on, `steps` are its steps. `say` is told where it goes on, and which damaged files were
    /// passed over.
    ///
    /// # Errors
    /// A state that was kept under another key: the settings have changed since.
    pub(crate) fn new(
        folder: &Path,
        name: &str,
        (key, steps): (String, u64),
        say: &dyn Fn(&str),
    ) -> Result<Self, FitError> {
        let snapshots = Snapshots::new(folder, name, key);
        let found = snapshots.load(steps);
        for (path, why) in &found.damaged {
            say(&format!(
                "  {}: damaged ({why}); the state before it is used",
                path.display()
            ));
        }
        if let (None, Some(path)) = (&found.snapshot, found.foreign) {
            return Err(FitError::OtherSettings { path });
        }
        if let Some(snapshot) = &found.snapshot {
            say(&format!("  {name} goes on after step {}", snapshot.step));
        }
        Ok(Self {
            name: name.to_owned(),
            folder: folder.to_owned(),
            snapshot: found.snapshot,
            snapshots,
        })
    }

    /// The first step to do.
    pub(crate) fn step(&self) -> u64 {
        self.snapshot.as_ref().map_or(0, |s| s.step)
    }

    /// The state to go on from, once.
    pub(crate) fn take(&mut self) -> Option<Snapshot> {
        self.snapshot.take()
    }

    /// Keeps the state in place of the one before; returns its file.
    ///
    /// # Errors
    /// An unwritable folder.
    pub(crate) fn keep(&self, snapshot: &Snapshot) -> Result<PathBuf, FitError> {
        self.snapshots
            .save(snapshot)
            .map_err(|source| FitError::Keep {
                path: self.folder.clone(),
                source,
            })
    }
}
