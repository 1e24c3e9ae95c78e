//! A training in the middle: what it takes to go on as if it had never stopped.
//!
//! A safetensors file with the net, its average, the optimizer's numbers and the epochs so far.
//! Random streams are functions of the step, so none is stored. Two files are kept: where the
//! newer one is damaged, the one before it serves.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::fit::Epoch;
use super::optimizer::State;
use crate::data::dataset::hex;
use crate::nn::values::Named;
use crate::run_dir::write_atomic;

/// State after `step` updates.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
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
    /// Epochs so far.
    pub epochs: Vec<Epoch>,
}

/// Why a file is no snapshot.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{0}")]
pub struct SnapshotError(String);

/// Where one training keeps its snapshots.
#[derive(Clone, Debug)]
pub struct Snapshots {
    newest: PathBuf,
    /// What the training must have in common with a snapshot: its whole configuration.
    key: String,
}

/// What [`Snapshots::load`] found.
#[derive(Debug)]
pub struct Found {
    /// Where to go on.
    pub snapshot: Option<Snapshot>,
    /// Damaged files that were passed over, with the reason.
    pub damaged: Vec<(PathBuf, SnapshotError)>,
}

impl Snapshots {
    /// In `folder`, for the training called `name` with this `key`.
    pub fn new(folder: &Path, name: &str, key: String) -> Self {
        Self {
            newest: folder.join(format!("{name}.resume.safetensors")),
            key,
        }
    }

    fn before(&self) -> PathBuf {
        self.newest.with_extension("previous.safetensors")
    }

    /// Keeps `snapshot`, and the one before it.
    ///
    /// # Errors
    /// An unwritable folder or a full disk; what was kept before stays readable.
    pub fn save(&self, snapshot: &Snapshot) -> std::io::Result<()> {
        let bytes = to_bytes(snapshot, &self.key).map_err(std::io::Error::other)?;
        if self.newest.exists() {
            std::fs::rename(&self.newest, self.before())?;
        }
        write_atomic(&self.newest, &bytes)
    }

    /// The newest whole snapshot of the same training.
    pub fn load(&self) -> Found {
        let mut found = Found {
            snapshot: None,
            damaged: Vec::new(),
        };
        for path in [self.newest.clone(), self.before()] {
            let Ok(bytes) = std::fs::read(&path) else {
                continue;
            };
            match from_bytes(&bytes, &self.key) {
                Ok(snapshot) => {
                    found.snapshot = snapshot;
                    return found;
                }
                Err(error) => found.damaged.push((path, error)),
            }
        }
        found
    }
}

/// Deletes the snapshots of a stage that has ended.
pub fn remove_all(folder: &Path) {
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

fn to_bytes(snapshot: &Snapshot, key: &str) -> Result<Vec<u8>, SnapshotError> {
    let plain = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let mut tensors: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
    for (kind, list) in [("net", &snapshot.net), ("average", &snapshot.average)] {
        for (i, n) in list.iter().enumerate() {
            let name = format!("{kind}/{i:05}/{}", n.name);
            tensors.push((name, n.dims.clone(), plain(&n.values)));
        }
    }
    for (i, state) in snapshot.optimizer.iter().enumerate() {
        for (kind, values) in [("first", &state.first), ("second", &state.second)] {
            tensors.push((format!("{kind}/{i:05}/"), vec![values.len()], plain(values)));
        }
    }
    let mut views = Vec::new();
    for (name, dims, bytes) in &tensors {
        let view = TensorView::new(Dtype::F32, dims.clone(), bytes)
            .map_err(|e| SnapshotError(e.to_string()))?;
        views.push((name.as_str(), view));
    }
    let epochs =
        serde_json::to_string(&snapshot.epochs).map_err(|e| SnapshotError(e.to_string()))?;
    let mut metadata = HashMap::from([
        ("key".to_owned(), key.to_owned()),
        ("step".to_owned(), snapshot.step.to_string()),
        ("updates".to_owned(), snapshot.updates.to_string()),
        ("epochs".to_owned(), epochs),
    ]);
    metadata.insert("sha256".to_owned(), digest(&metadata, &tensors));
    safetensors::serialize(views, Some(metadata)).map_err(|e| SnapshotError(e.to_string()))
}

/// The snapshot in `bytes`; none where it belongs to another training.
fn from_bytes(bytes: &[u8], key: &str) -> Result<Option<Snapshot>, SnapshotError> {
    let fail = |e: safetensors::SafeTensorError| SnapshotError(e.to_string());
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(fail)?;
    let mut metadata = header.metadata().clone().unwrap_or_default();
    let file = SafeTensors::deserialize(bytes).map_err(fail)?;
    let mut tensors: Vec<(String, Vec<usize>, Vec<u8>)> = file
        .tensors()
        .into_iter()
        .map(|(name, view)| (name, view.shape().to_vec(), view.data().to_vec()))
        .collect();
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    let stored = metadata.remove("sha256");
    if stored != Some(digest(&metadata, &tensors)) {
        return Err(SnapshotError("its SHA-256 does not match".into()));
    }
    if metadata.get("key").map(String::as_str) != Some(key) {
        return Ok(None);
    }
    let text = |name: &str| {
        metadata
            .get(name)
            .ok_or_else(|| SnapshotError(format!("{name} is missing")))
    };
    let number = |name: &str| {
        text(name)?
            .parse::<u64>()
            .map_err(|e| SnapshotError(format!("{name}: {e}")))
    };
    let epochs = serde_json::from_str(text("epochs")?).map_err(|e| SnapshotError(e.to_string()))?;
    let mut snapshot = Snapshot {
        step: number("step")?,
        net: Vec::new(),
        average: Vec::new(),
        updates: number("updates")?,
        optimizer: Vec::new(),
        epochs,
    };
    for (name, dims, bytes) in tensors {
        let values: Vec<f32> = bytes
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect();
        let mut parts = name.splitn(3, '/');
        let (kind, _, rest) = (parts.next(), parts.next(), parts.next().unwrap_or_default());
        let named = || Named {
            name: rest.to_owned(),
            dims: dims.clone(),
            values: values.clone(),
        };
        match kind {
            Some("net") => snapshot.net.push(named()),
            Some("average") => snapshot.average.push(named()),
            // Sorted by name, all of "first" come before all of "second".
            Some("first") => snapshot.optimizer.push(State {
                first: values,
                second: Vec::new(),
            }),
            Some("second") => {
                let next = snapshot.optimizer.iter_mut().find(|s| s.second.is_empty());
                if let Some(state) = next {
                    state.second = values;
                }
            }
            _ => return Err(SnapshotError(format!("unknown entry {name}"))),
        }
    }
    Ok(Some(snapshot))
}

fn digest(metadata: &HashMap<String, String>, tensors: &[(String, Vec<usize>, Vec<u8>)]) -> String {
    let mut sha = Sha256::new();
    for name in ["key", "step", "updates", "epochs"] {
        sha.update(metadata.get(name).map_or("", String::as_str));
        sha.update([0]);
    }
    let mut sorted: Vec<_> = tensors.iter().collect();
    sorted.sort_by(|a, b| a.0.cmp(&b.0));
    for (name, _, bytes) in sorted {
        sha.update(name);
        sha.update(bytes);
    }
    hex(&sha.finalize())
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
            epochs: vec![Epoch {
                step,
                loss: 0.5,
                learning_rate: 0.1,
                validation: 0.75,
            }],
        }
    }

    #[test]
    fn a_snapshot_comes_back_whole_and_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let place = Snapshots::new(dir.path(), "teacher", "k".into());
        assert!(place.load().snapshot.is_none());
        place.save(&snapshot(200)).unwrap();
        place.save(&snapshot(400)).unwrap();
        assert_eq!(place.load().snapshot, Some(snapshot(400)));
        let other = Snapshots::new(dir.path(), "teacher", "another configuration".into());
        assert!(other.load().snapshot.is_none());
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
            let found = place.load();
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
