//! A training in the middle: what it takes to go on as if it had never stopped.
//!
//! One file with the net, its average, the optimizer's numbers and the epochs so far.
//! Random streams are functions of the step, so none is stored. Two files are kept: where the
//! newer one is damaged, the one before it serves.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::optimizer::State;
use crate::nn::tensor_file;
use crate::nn::values::Named;
use crate::train::epoch::Epoch;
use crate::util::files::{read_file, write_atomic};

/// State after `step` updates.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Snapshot {
    /// Updates done.
    pub step: u64,
    /// Parameters and running statistics.
    pub net: Vec<Named>,
    /// Their moving average.
    pub average: Vec<Named>,
    /// Updates of the average.
    pub updates: u64,
    /// The optimizer's numbers for each parameter.
    pub optimizer: Vec<State>,
    /// What the method has learned beside the net.
    pub method: Vec<Named>,
    /// Epochs so far.
    pub epochs: Vec<Epoch>,
    /// Wall time so far in seconds.
    pub seconds: f64,
}

/// Why a file is no snapshot.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{0}")]
pub(crate) struct SnapshotError(String);

/// Where one training keeps its snapshots.
#[derive(Clone, Debug)]
pub(crate) struct Snapshots {
    newest: PathBuf,
    /// What the training must have in common with a snapshot: its whole configuration.
    key: String,
}

/// What [`Snapshots::load`] found.
#[derive(Debug)]
pub(crate) struct Found {
    /// Where to go on.
    pub snapshot: Option<Snapshot>,
    /// Damaged files that were passed over, with the reason.
    pub damaged: Vec<(PathBuf, SnapshotError)>,
    /// The last file that belongs to a training with other settings.
    pub foreign: Option<PathBuf>,
}

impl Snapshots {
    /// In `folder`, for the training called `name` with this `key`.
    pub(crate) fn new(folder: &Path, name: &str, key: String) -> Self {
        Self {
            newest: folder.join(format!("{name}.resume.safetensors")),
            key,
        }
    }

    /// Deletes them: the training has ended.
    pub(crate) fn remove(&self) {
        for path in self.files() {
            let _ = std::fs::remove_file(path);
        }
    }

    /// The newest, and the one before it.
    fn files(&self) -> [PathBuf; 2] {
        [self.newest.clone(), self.before()]
    }

    fn before(&self) -> PathBuf {
        self.newest.with_extension("previous.safetensors")
    }

    /// Keeps `snapshot`, and the one before it; returns its file.
    ///
    /// # Errors
    /// An unwritable folder or a full disk; what was kept before stays readable.
    pub(crate) fn save(&self, snapshot: &Snapshot) -> std::io::Result<PathBuf> {
        let bytes = to_bytes(snapshot, &self.key).map_err(std::io::Error::other)?;
        if self.newest.exists() {
            std::fs::rename(&self.newest, self.before())?;
        }
        write_atomic(&self.newest, &bytes)?;
        Ok(self.newest.clone())
    }

    /// The newest whole snapshot of the same training, which has `steps` steps.
    pub(crate) fn load(&self, steps: u64) -> Found {
        let mut found = Found {
            snapshot: None,
            damaged: Vec::new(),
            foreign: None,
        };
        for path in self.files() {
            let bytes = match read_file(&path) {
                Ok(bytes) => bytes,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
                Err(e) => {
                    found.damaged.push((path, SnapshotError(e.to_string())));
                    continue;
                }
            };
            match from_bytes(&bytes, &self.key) {
                Ok(Some(snapshot)) if snapshot.step > steps => {
                    let why = format!("it is after step {} of {steps}", snapshot.step);
                    let _ = std::fs::remove_file(&path);
                    found.damaged.push((path, SnapshotError(why)));
                }
                Ok(Some(snapshot)) => {
                    found.snapshot = Some(snapshot);
                    return found;
                }
                Ok(None) => found.foreign = Some(path),
                Err(error) => {
                    // The next state must not push the good one before it out.
                    let _ = std::fs::remove_file(&path);
                    found.damaged.push((path, error));
                }
            }
        }
        found
    }
}

/// Deletes the snapshots of a stage that has ended.
pub(crate) fn remove_all(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for path in entries.flatten().map(|e| e.path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.contains(".resume.") {
            let _ = std::fs::remove_file(&path);
        }
    }
}

/// What a snapshot's file says about itself.
#[derive(Serialize, Deserialize)]
struct About {
    key: String,
    step: u64,
    updates: u64,
    epochs: Vec<Epoch>,
    seconds: f64,
}

fn to_bytes(snapshot: &Snapshot, key: &str) -> Result<Vec<u8>, SnapshotError> {
    let mut tensors = Vec::new();
    for (kind, list) in [
        ("net", &snapshot.net),
        ("average", &snapshot.average),
        ("method", &snapshot.method),
    ] {
        for (i, n) in list.iter().enumerate() {
            let name = format!("{kind}/{i:05}/{}", n.name);
            tensors.push(Named { name, ..n.clone() });
        }
    }
    for (i, state) in snapshot.optimizer.iter().enumerate() {
        for (kind, values) in [("first", &state.first), ("second", &state.second)] {
            tensors.push(Named {
                name: format!("{kind}/{i:05}/"),
                dims: vec![values.len()],
                values: values.clone(),
            });
        }
    }
    let about = About {
        key: key.to_owned(),
        step: snapshot.step,
        updates: snapshot.updates,
        epochs: snapshot.epochs.clone(),
        seconds: snapshot.seconds,
    };
    let about = serde_json::to_string(&about).map_err(|e| SnapshotError(e.to_string()))?;
    tensor_file::to_bytes(&tensors, &about).map_err(SnapshotError)
}

/// The snapshot in `bytes`; none where it belongs to another training.
fn from_bytes(bytes: &[u8], key: &str) -> Result<Option<Snapshot>, SnapshotError> {
    let (about, tensors) = tensor_file::from_bytes(bytes).map_err(SnapshotError)?;
    let about: About = serde_json::from_str(&about).map_err(|e| SnapshotError(e.to_string()))?;
    if about.key != key {
        return Ok(None);
    }
    let (mut net, mut average, mut method) = (vec![], vec![], vec![]);
    let (mut first, mut second) = (vec![], vec![]);
    // Ordered by name, and so by the number in it.
    for tensor in tensors {
        let mut parts = tensor.name.splitn(3, '/');
        let (kind, _, name) = (parts.next(), parts.next(), parts.next());
        let name = name.unwrap_or_default().to_owned();
        match kind {
            Some("net") => net.push(Named { name, ..tensor }),
            Some("average") => average.push(Named { name, ..tensor }),
            Some("method") => method.push(Named { name, ..tensor }),
            Some("first") => first.push(tensor.values),
            Some("second") => second.push(tensor.values),
            _ => return Err(SnapshotError(format!("unknown entry {}", tensor.name))),
        }
    }
    if first.len() != second.len() {
        return Err(SnapshotError(
            "the optimizer's numbers are not pairs".into(),
        ));
    }
    let optimizer = first
        .into_iter()
        .zip(second)
        .map(|(first, second)| State { first, second })
        .collect();
    Ok(Some(Snapshot {
        step: about.step,
        net,
        average,
        updates: about.updates,
        optimizer,
        method,
        epochs: about.epochs,
        seconds: about.seconds,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(step: u64) -> Snapshot {
        let named = |name: &str, v: f32| Named {
            name: name.into(),
            dims: vec![2, 1],
            values: vec![v, -v],
        };
        Snapshot {
            step,
            net: vec![named("b.w", 1.5), named("a.w", step as f32)],
            average: vec![named("b.w", 1.0), named("a.w", 0.5)],
            updates: step,
            optimizer: (0..12)
                .map(|i| State {
                    first: vec![i as f32, 1.0],
                    second: vec![0.25, i as f32],
                })
                .collect(),
            method: vec![named("teacher.w", 0.125)],
            epochs: vec![Epoch {
                step,
                loss: 0.5,
                learning_rate: 0.1,
                validation: 0.75,
                figures: [("entropy".to_owned(), 0.25)].into(),
            }],
            seconds: 2.5,
        }
    }

    #[test]
    fn a_snapshot_comes_back_whole_and_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let place = Snapshots::new(dir.path(), "teacher", "k".into());
        assert!(place.load(400).snapshot.is_none());
        place.save(&snapshot(200)).unwrap();
        place.save(&snapshot(400)).unwrap();
        assert_eq!(place.load(400).snapshot, Some(snapshot(400)));
        let other = Snapshots::new(dir.path(), "teacher", "another configuration".into());
        let found = other.load(400);
        assert!(found.snapshot.is_none() && found.foreign.is_some());
        let found = place.load(100);
        assert!(found.snapshot.is_none() && found.damaged.len() == 2);
        place.save(&snapshot(400)).unwrap();
        remove_all(dir.path());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn any_damage_is_seen_and_the_one_before_serves() {
        let dir = tempfile::tempdir().unwrap();
        let place = Snapshots::new(dir.path(), "teacher", "k".into());
        place.save(&snapshot(200)).unwrap();
        place.save(&snapshot(400)).unwrap();
        let good = std::fs::read(&place.newest).unwrap();
        let mut variants: Vec<Vec<u8>> = [0, 3, 8, good.len() / 2, good.len() - 1]
            .iter()
            .map(|cut| good[..*cut].to_vec())
            .collect();
        for at in (0..good.len()).step_by(11) {
            let mut bad = good.clone();
            bad[at] ^= 4;
            variants.push(bad);
        }
        for bad in variants {
            std::fs::write(&place.newest, &bad).unwrap();
            let found = place.load(400);
            let snapshot_found = found.snapshot.unwrap();
            // A flip in the header's padding or field order changes nothing that is read.
            if snapshot_found.step == 400 {
                assert_eq!(snapshot_found, snapshot(400));
            } else {
                assert_eq!(snapshot_found, snapshot(200));
                assert_eq!(found.damaged.len(), 1);
            }
        }
    }
}
