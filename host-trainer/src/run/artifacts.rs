//! The files of stages, verified: whoever reads one, and whoever says that a stage is done,
//! compares it with the record of the stage or training that wrote it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::run::dir::RunDir;
use crate::run::error::RunDirError;
use crate::run::record::{Artifact, Proof, Record};
use crate::run::stage::Stage;
use crate::util::files::read_file;
use crate::util::hash::hex;

/// The record of a stage, in its folder.
const DONE: &str = "done.json";

/// What is said of a record that is whole and out of date.
const OTHER_INPUTS: &str = "earlier stages have other files now than those that it was made from";

/// How far a stage is.
#[derive(Clone, Debug)]
pub(crate) enum State {
    /// It has not ended.
    Open,
    /// It has ended, and all its files are as it wrote them.
    Done(Record),
    /// It has ended, and what it made is gone, damaged or out of date.
    Broken(Broken),
}

/// Why a stage that has ended does not count as done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub why: String,
    /// Whether an earlier stage has other files now than those that this one was made from.
    pub stale: bool,
}

impl From<Broken> for RunDirError {
    fn from(broken: Broken) -> Self {
        Self::Damaged {
            path: broken.path,
            why: broken.why,
        }
    }
}

/// Files that every run's stage makes: what records of older versions don't list.
fn outputs(stage: Stage) -> &'static [&'static str] {
    match stage {
        Stage::Teacher => &["teacher.safetensors"],
        Stage::PseudoLabels => &["pseudo_labels.safetensors"],
        Stage::Student => &["student.safetensors"],
        Stage::Distill => &["distilled.safetensors", "labels-only.safetensors"],
        Stage::Quantize => &["ranges.json"],
        Stage::Pack => &["student.pupil"],
    }
}

/// The file of a stage of the run in `root`.
pub(crate) fn file(root: &Path, stage: Stage, name: &str) -> PathBuf {
    root.join(stage.folder()).join(name)
}

/// The record of a stage of the run in `root`; none where the stage has not ended.
///
/// # Errors
/// A damaged record.
pub(crate) fn record(root: &Path, stage: Stage) -> Result<Option<Record>, RunDirError> {
    let path = file(root, stage, DONE);
    let bytes = match read_file(&path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(RunDirError::Read { path, source }),
    };
    match Record::from_bytes(&bytes) {
        Ok(record) => Ok(Some(record)),
        Err(why) => Err(RunDirError::Damaged { path, why }),
    }
}

/// What the record of `stage` knows of its files. An older version's record of the last stage
/// knows the student.
fn listed(record: &Record, stage: Stage) -> BTreeMap<String, Option<Artifact>> {
    if let Some(proof) = &record.proof {
        let known = proof.artifacts.iter();
        return known.map(|(n, a)| (n.clone(), Some(a.clone()))).collect();
    }
    let names = outputs(stage).iter();
    names.map(|name| ((*name).to_owned(), None)).collect()
}

/// Compares `bytes`, read from the file `name` of a stage of the run in `root`, with what that
/// stage has recorded. A stage that has not ended vouches for nothing.
///
/// # Errors
/// A damaged file or record.
pub(crate) fn verify(
    root: &Path,
    stage: Stage,
    name: &str,
    bytes: &[u8],
) -> Result<(), RunDirError> {
    let Some(record) = record(root, stage)? else {
        return Ok(());
    };
    let known = listed(&record, stage).remove(name).flatten();
    let difference = match known {
        Some(artifact) => artifact.difference(bytes),
        None => other_student(&record, name, bytes),
    };
    let damaged = |why| RunDirError::Damaged {
        path: file(root, stage, name),
        why,
    };
    difference.map_or(Ok(()), |why| Err(damaged(why)))
}

/// An older version's record of the last stage has the student's SHA-256 among its results.
fn other_student(record: &Record, name: &str, bytes: &[u8]) -> Option<String> {
    let sha = record.text("sha256").filter(|_| name == "student.pupil")?;
    (crate::util::hash::sha256(bytes) != sha)
        .then(|| "its SHA-256 is not that of what was written".to_owned())
}

/// Whether later stages learn from the file: logs and the records of trainings, which hold times,
/// tell nothing.
fn is_input(name: &str, all: &BTreeMap<String, Artifact>) -> bool {
    let of_training = name
        .strip_suffix(".json")
        .is_some_and(|stem| all.contains_key(&format!("{stem}.safetensors")));
    !of_training && !name.ends_with(".metrics.jsonl")
}

impl RunDir {
    /// Digest of what the stages before `stage` have made; none where one of them has no proof.
    fn inputs(&self, stage: Stage) -> Option<String> {
        let mut sha = Sha256::new();
        for earlier in Stage::ALL.into_iter().filter(|s| *s < stage) {
            let proof = record(self.root(), earlier).ok()??.proof?;
            for (name, artifact) in &proof.artifacts {
                if is_input(name, &proof.artifacts) {
                    sha.update(format!("{}/{name} {}\n", earlier.folder(), artifact.sha256));
                }
            }
        }
        Some(hex(&sha.finalize()))
    }

    /// How far a stage is. Reads every file that it has recorded.
    ///
    /// # Errors
    /// A file that is there and can't be read: making it again would fail in the end, too.
    pub(crate) fn state(&self, stage: Stage) -> Result<State, RunDirError> {
        let broken = |path: PathBuf, why: String| {
            Ok(State::Broken(Broken {
                path,
                why,
                stale: false,
            }))
        };
        let record = match record(self.root(), stage) {
            Ok(Some(record)) => record,
            Ok(None) => return Ok(State::Open),
            Err(RunDirError::Damaged { path, why }) => return broken(path, why),
            Err(error) => return Err(error),
        };
        for (name, artifact) in listed(&record, stage) {
            let path = file(self.root(), stage, &name);
            let bytes = match read_file(&path) {
                Ok(bytes) => bytes,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                    return broken(path, "it is missing".into());
                }
                Err(source) => return Err(RunDirError::Read { path, source }),
            };
            let difference = match &artifact {
                Some(artifact) => artifact.difference(&bytes),
                None => other_student(&record, &name, &bytes),
            };
            if let Some(why) = difference {
                return broken(path, why);
            }
            self.know(&path, &bytes);
        }
        let before = record.proof.as_ref().and_then(|p| p.inputs.clone());
        let now = before.as_ref().and_then(|_| self.inputs(stage));
        match now {
            Some(now) if Some(&now) != before.as_ref() => Ok(State::Broken(Broken {
                path: file(self.root(), stage, DONE),
                why: OTHER_INPUTS.into(),
                stale: true,
            })),
            _ => Ok(State::Done(record)),
        }
    }

    /// Makes a broken stage one that has not ended. What is whole in its folder stays, unless it
    /// was made from other files.
    ///
    /// # Errors
    /// A file that can't be deleted.
    pub(crate) fn reopen(&self, stage: Stage, broken: &Broken) -> Result<(), RunDirError> {
        if broken.stale {
            return self.remove(&stage.folder());
        }
        self.remove(&format!("{}/{DONE}", stage.folder()))
    }

    /// Writes the stage's record with its summary, which marks it done.
    ///
    /// # Errors
    /// An unwritable directory.
    pub(crate) fn finish<T: Serialize>(
        &self,
        stage: Stage,
        summary: &T,
    ) -> Result<(), RunDirError> {
        let path = self.file(stage, DONE)?;
        let proof = Proof {
            artifacts: self.known_in(stage),
            inputs: self.inputs(stage),
            settings: self.settings(),
        };
        self.write_record(&path, summary, proof)?;
        // Only now: until the stage is done, a training that has ended is taken from there.
        crate::train::snapshot::remove_all(&self.root().join(stage.folder()));
        Ok(())
    }

    /// The summary of a stage that is done.
    ///
    /// # Errors
    /// A missing or damaged file.
    pub(crate) fn summary<T: DeserializeOwned>(&self, stage: Stage) -> Result<T, RunDirError> {
        self.read_record(&file(self.root(), stage, DONE))
    }

    /// Writes `summary` and `proof` as one file that is proven whole.
    ///
    /// # Errors
    /// An unwritable directory.
    pub(crate) fn write_record<T: Serialize>(
        &self,
        path: &Path,
        summary: &T,
        proof: Proof,
    ) -> Result<(), RunDirError> {
        let bytes = Record::new(summary, proof).and_then(|record| record.to_bytes());
        let bytes = bytes.map_err(|why| RunDirError::Damaged {
            path: path.to_owned(),
            why,
        })?;
        self.write(path, &bytes)
    }

    /// The summary of a file that [`Self::write_record`] has written.
    ///
    /// # Errors
    /// A missing or damaged file.
    pub(crate) fn read_record<T: DeserializeOwned>(&self, path: &Path) -> Result<T, RunDirError> {
        let bytes = read_file(path).map_err(|source| RunDirError::Read {
            path: path.to_owned(),
            source,
        })?;
        let summary = Record::from_bytes(&bytes).and_then(|record| record.summary());
        summary.map_err(|why| RunDirError::Damaged {
            path: path.to_owned(),
            why,
        })
    }

    /// The bytes of a stage's file, as the stage has written them.
    ///
    /// # Errors
    /// A missing file, or one that has changed since.
    pub(crate) fn read(&self, stage: Stage, name: &str) -> Result<Vec<u8>, RunDirError> {
        let path = file(self.root(), stage, name);
        let bytes = read_file(&path).map_err(|source| RunDirError::Read {
            path: path.clone(),
            source,
        })?;
        match self.known(&path) {
            None => verify(self.root(), stage, name, &bytes)?,
            Some(artifact) => {
                if let Some(why) = artifact.difference(&bytes) {
                    return Err(RunDirError::Damaged { path, why });
                }
            }
        }
        Ok(bytes)
    }

    /// Writes what a training of `stage` says of itself into `about`, with a proof of its `files`.
    ///
    /// # Errors
    /// An unwritable directory.
    pub(crate) fn finish_training<T: Serialize>(
        &self,
        (stage, about): (Stage, &Path),
        summary: &T,
        files: &[&str],
    ) -> Result<(), RunDirError> {
        let known =
            |name: &&str| Some(((*name).to_owned(), self.known(&about.with_file_name(name))?));
        let proof = Proof {
            artifacts: files.iter().filter_map(known).collect(),
            inputs: self.inputs(stage),
            settings: self.settings(),
        };
        self.write_record(about, summary, proof)
    }

    /// The record of a training of `stage` in `about`, whose files are whole; none where it has not
    /// ended.
    ///
    /// # Errors
    /// What is damaged or out of date, in words: the training has to be repeated.
    pub(crate) fn training(&self, stage: Stage, about: &Path) -> Result<Option<Record>, String> {
        let name = |path: &Path| path.file_name().unwrap_or_default().display().to_string();
        let Ok(bytes) = read_file(about) else {
            return Ok(None);
        };
        let record = Record::from_bytes(&bytes).map_err(|why| format!("{}: {why}", name(about)))?;
        let Some(proof) = &record.proof else {
            // An older version's: the net has a checksum of its own.
            let path = about.with_extension("safetensors");
            let Ok(net) = read_file(&path) else {
                return Ok(None);
            };
            crate::nn::tensor_file::from_bytes(&net)
                .map_err(|why| format!("{}: {why}", name(&path)))?;
            self.know(&path, &net);
            self.know(about, &bytes);
            return Ok(Some(record));
        };
        for (file, artifact) in &proof.artifacts {
            let path = about.with_file_name(file);
            let bytes = read_file(&path).map_err(|e| format!("{file}: {e}"))?;
            if let Some(why) = artifact.difference(&bytes) {
                return Err(format!("{file}: {why}"));
            }
            self.know(&path, &bytes);
        }
        if proof.inputs.is_some()
            && self
                .inputs(stage)
                .is_some_and(|now| proof.inputs != Some(now))
        {
            return Err(format!("{}: {OTHER_INPUTS}", name(about)));
        }
        self.know(about, &bytes);
        Ok(Some(record))
    }

    /// Texts that stages which are done have recorded of the settings file `name`.
    pub(crate) fn recorded_settings(&self, name: &str) -> Vec<String> {
        let records = Stage::ALL
            .into_iter()
            .filter_map(|s| record(self.root(), s).ok()?);
        records
            .filter_map(|r| r.proof?.settings.remove(name))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Summary {
        value: u8,
    }

    const SUMMARY: Summary = Summary { value: 7 };

    /// A run whose stages have each left `name.safetensors`.
    fn run() -> (tempfile::TempDir, RunDir) {
        let folder = tempfile::tempdir().unwrap();
        let dir = RunDir::open(folder.path(), false).unwrap();
        Stage::ALL
            .into_iter()
            .for_each(|stage| done(&dir, stage, b"net"));
        (folder, dir)
    }

    fn done(dir: &RunDir, stage: Stage, bytes: &[u8]) {
        let path = dir.file(stage, "net.safetensors").unwrap();
        dir.write(&path, bytes).unwrap();
        let about = dir.file(stage, "net.json").unwrap();
        dir.finish_training((stage, &about), &SUMMARY, &["net.safetensors"])
            .unwrap();
        dir.finish(stage, &SUMMARY).unwrap();
    }

    fn broken(dir: &RunDir, stage: Stage) -> Broken {
        match dir.state(stage).unwrap() {
            State::Broken(broken) => broken,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn damaged_and_missing_artifacts_are_not_done_before() {
        let (_folder, dir) = run();
        let net = dir.file(Stage::Distill, "net.safetensors").unwrap();
        for stage in Stage::ALL {
            assert!(
                matches!(dir.state(stage).unwrap(), State::Done(_)),
                "{stage:?}"
            );
        }
        assert_eq!(dir.read(Stage::Distill, "net.safetensors").unwrap(), b"net");
        std::fs::write(&net, b"nat").unwrap();
        assert_eq!(broken(&dir, Stage::Distill).path, net);
        assert!(dir.read(Stage::Distill, "net.safetensors").is_err());
        assert!(verify(dir.root(), Stage::Distill, "net.safetensors", b"nat").is_err());
        let about = dir.file(Stage::Distill, "net.json").unwrap();
        let why = dir.training(Stage::Distill, &about).unwrap_err();
        assert!(why.starts_with("net.safetensors: "), "{why}");
        std::fs::remove_file(&net).unwrap();
        assert!(broken(&dir, Stage::Distill).why.contains("missing"));
        // Written again, it is done again, and so is what was made from it.
        dir.reopen(Stage::Distill, &broken(&dir, Stage::Distill))
            .unwrap();
        assert!(matches!(dir.state(Stage::Distill).unwrap(), State::Open));
        done(&dir, Stage::Distill, b"net");
        assert!(matches!(dir.state(Stage::Pack).unwrap(), State::Done(_)));
    }

    #[test]
    fn a_folder_in_a_files_place_is_an_error_before_anything_is_made_again() {
        let (_folder, dir) = run();
        let net = dir.file(Stage::Distill, "net.safetensors").unwrap();
        std::fs::remove_file(&net).unwrap();
        std::fs::create_dir(&net).unwrap();
        let text = dir.state(Stage::Distill).unwrap_err().to_string();
        assert!(
            text.contains("a folder, not a regular file") && text.contains("do:"),
            "{text}"
        );
        assert!(dir.is_done(Stage::Distill));
    }

    #[test]
    fn a_stage_made_from_other_files_is_out_of_date() {
        let (_folder, dir) = run();
        done(&dir, Stage::Student, b"other");
        assert!(matches!(dir.state(Stage::Student).unwrap(), State::Done(_)));
        let about = dir.file(Stage::Pack, "net.json").unwrap();
        assert!(dir.training(Stage::Pack, &about).is_err());
        let stale = broken(&dir, Stage::Pack);
        assert!(stale.stale && stale.why.contains("earlier stages"));
        dir.reopen(Stage::Pack, &stale).unwrap();
        assert!(!dir.root().join(Stage::Pack.folder()).exists());
    }

    #[test]
    fn a_damaged_record_makes_its_stage_one_to_repeat() {
        let (_folder, dir) = run();
        let path = file(dir.root(), Stage::Quantize, DONE);
        let mut bytes = std::fs::read(&path).unwrap();
        let digit = bytes.iter().position(|b| *b == b'7').unwrap();
        bytes[digit] = b'8';
        std::fs::write(&path, bytes).unwrap();
        assert!(broken(&dir, Stage::Quantize).why.contains("checksum"));
        assert!(record(dir.root(), Stage::Quantize).is_err());
    }
}
