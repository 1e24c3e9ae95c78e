//! What a stage, a training or a comparison leaves behind, proven whole.
//!
//! One JSON object: the summary's own fields, and beside them `proof` (length and SHA-256 of each
//! file, what they were made from, the settings) and `checksum`, a SHA-256 over everything else.
//! Records of older versions have neither and are read without them. Bytes from disk are parsed
//! here and nowhere else.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::util::hash::{hex, sha256};

/// Names of the two fields beside the summary's.
const PROOF: &str = "proof";
const CHECKSUM: &str = "checksum";

/// A file as it was when it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Artifact {
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256, hexadecimal digits.
    pub sha256: String,
}

impl Artifact {
    /// Of a file with these bytes.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.len() as u64,
            sha256: sha256(bytes),
        }
    }

    /// What makes `bytes` another file than this one.
    pub(crate) fn difference(&self, bytes: &[u8]) -> Option<String> {
        if bytes.len() as u64 != self.bytes {
            return Some(format!(
                "it has {} bytes, {} were written",
                bytes.len(),
                self.bytes
            ));
        }
        (sha256(bytes) != self.sha256)
            .then(|| "its SHA-256 is not that of what was written".to_owned())
    }
}

/// What a record vouches for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Proof {
    /// Files in the record's folder, by name.
    pub artifacts: BTreeMap<String, Artifact>,
    /// Digest of the files of earlier stages that these were made from.
    #[serde(default)]
    pub inputs: Option<String>,
    /// Texts of the run's settings, by file name.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
}

/// A summary and its proof.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Record {
    summary: Map<String, Value>,
    /// None where an older version wrote it.
    pub proof: Option<Proof>,
}

impl Record {
    /// Of a summary with named fields.
    ///
    /// # Errors
    /// A summary that is no JSON object, or has fields of the record's names.
    pub(crate) fn new<T: Serialize>(summary: &T, proof: Proof) -> Result<Self, String> {
        let Value::Object(summary) = serde_json::to_value(summary).map_err(|e| e.to_string())?
        else {
            return Err("a summary has named fields".into());
        };
        if summary.contains_key(PROOF) || summary.contains_key(CHECKSUM) {
            return Err(format!(
                "{PROOF} and {CHECKSUM} are the record's own fields"
            ));
        }
        Ok(Self {
            summary,
            proof: Some(proof),
        })
    }

    /// The summary.
    ///
    /// # Errors
    /// Fields of another type than the summary's.
    pub(crate) fn summary<T: DeserializeOwned>(&self) -> Result<T, String> {
        serde_json::from_value(Value::Object(self.summary.clone())).map_err(|e| e.to_string())
    }

    /// A text of the summary.
    pub(crate) fn text(&self, field: &str) -> Option<&str> {
        self.summary.get(field)?.as_str()
    }

    /// The file.
    ///
    /// # Errors
    /// None; JSON values can be written.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, String> {
        let mut object = self.summary.clone();
        if let Some(proof) = &self.proof {
            let proof = serde_json::to_value(proof).map_err(|e| e.to_string())?;
            object.insert(PROOF.to_owned(), proof);
            let checksum = digest(&Value::Object(object.clone()));
            object.insert(CHECKSUM.to_owned(), Value::String(checksum));
        }
        let mut text = serde_json::to_vec_pretty(&object).map_err(|e| e.to_string())?;
        text.push(b'\n');
        Ok(text)
    }

    /// The record in a file.
    ///
    /// # Errors
    /// No JSON object; a checksum that does not match.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let mut object: Map<String, Value> =
            serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        // A damaged name of one of both must not pass for a record without them.
        let proof = match (object.remove(CHECKSUM), object.contains_key(PROOF)) {
            (None, false) if object.is_empty() => return Err("it is empty".into()),
            (None, false) => None,
            (Some(Value::String(checksum)), true) => {
                if digest(&Value::Object(object.clone())) != checksum {
                    return Err("its checksum does not match".into());
                }
                let proof = object.remove(PROOF).unwrap_or_default();
                Some(serde_json::from_value(proof).map_err(|e| e.to_string())?)
            }
            _ => return Err("its checksum is missing".into()),
        };
        Ok(Self {
            summary: object,
            proof,
        })
    }
}

/// SHA-256 of a value, whatever the order of its fields and its white space.
fn digest(value: &Value) -> String {
    let mut sha = Sha256::new();
    feed(&mut sha, value);
    hex(&sha.finalize())
}

fn feed(sha: &mut Sha256, value: &Value) {
    match value {
        Value::Object(object) => {
            let sorted: BTreeMap<&String, &Value> = object.iter().collect();
            sha.update(format!("{{{}", sorted.len()));
            for (name, value) in sorted {
                feed(sha, &Value::String(name.clone()));
                feed(sha, value);
            }
        }
        Value::Array(list) => {
            sha.update(format!("[{}", list.len()));
            list.iter().for_each(|value| feed(sha, value));
        }
        leaf => {
            sha.update(leaf.to_string());
            sha.update("\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Summary {
        accuracy: f64,
        name: String,
        #[serde(default)]
        newer: bool,
    }

    fn record() -> (Summary, Record) {
        let summary = Summary {
            accuracy: 0.1 + 0.2,
            name: "a\u{1b}\"b".into(),
            newer: false,
        };
        let proof = Proof {
            artifacts: [("net".to_owned(), Artifact::of(b"weights"))].into(),
            inputs: Some("x".into()),
            settings: [("run.toml".to_owned(), "seed = 3\n".to_owned())].into(),
        };
        let record = Record::new(&summary, proof).unwrap();
        (summary, record)
    }

    #[test]
    fn a_record_comes_back_whole() {
        let (summary, record) = record();
        let back = Record::from_bytes(&record.to_bytes().unwrap()).unwrap();
        assert_eq!(back, record);
        assert_eq!(back.summary::<Summary>().unwrap(), summary);
        let artifact = Artifact::of(b"weights");
        assert_eq!(artifact.difference(b"weights"), None);
        assert!(artifact.difference(b"weighty").is_some());
        assert!(artifact.difference(b"weight").unwrap().contains("6 bytes"));
    }

    #[test]
    fn no_flipped_bit_of_a_record_changes_what_is_read() {
        let (_, record) = record();
        let good = record.to_bytes().unwrap();
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                if let Ok(read) = Record::from_bytes(&bad) {
                    assert_eq!(read, record, "bit {bit} of byte {at}");
                }
            }
            assert!(at + 2 >= good.len() || Record::from_bytes(&good[..at]).is_err());
        }
    }

    #[test]
    fn records_of_older_versions_have_no_proof() {
        let old = Record::from_bytes(b"{\"accuracy\": 0.5, \"name\": \"n\"}").unwrap();
        assert_eq!(old.proof, None);
        assert_eq!(old.summary::<Summary>().unwrap().accuracy, 0.5);
        assert!(Record::from_bytes(b"[1]").is_err() && Record::from_bytes(b"").is_err());
        assert!(Record::new(&7, Proof::default()).is_err());
    }
}
