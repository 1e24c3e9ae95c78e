//! Nets on disk: safetensors, with the net's configuration and a SHA-256 in the metadata.

use std::collections::HashMap;
use std::path::Path;

use burn::tensor::Device;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::data::dataset::hex;
use crate::model::{EfficientNet, EfficientNetConfig};
use crate::nn::init::Init;
use crate::nn::values::{Named, assign, collect};
use crate::random::stream;
use crate::run_dir::{repeat, write_atomic};
use sha2::{Digest, Sha256};

/// A checkpoint that can't be written or read.
#[derive(Debug, Error)]
#[error("{path}: {why}\n  do:    {}", repeat(path))]
pub struct CheckpointError {
    path: std::path::PathBuf,
    why: String,
}

/// What the metadata hold.
#[derive(Serialize, Deserialize)]
struct About {
    net: EfficientNetConfig,
    sha256: String,
}

/// Writes `net` and its configuration to `path`, whole or not at all.
///
/// # Errors
/// An unwritable path.
pub fn save(
    path: &Path,
    config: &EfficientNetConfig,
    net: &EfficientNet,
) -> Result<(), CheckpointError> {
    let fail = |why: String| CheckpointError {
        path: path.to_owned(),
        why,
    };
    let list = collect(net);
    let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = list
        .iter()
        .map(|n| {
            let values = n.values.iter().flat_map(|v| v.to_le_bytes()).collect();
            (n.name.clone(), n.dims.clone(), values)
        })
        .collect();
    let mut views = Vec::new();
    for (name, dims, values) in &bytes {
        let view =
            TensorView::new(Dtype::F32, dims.clone(), values).map_err(|e| fail(e.to_string()))?;
        views.push((name.as_str(), view));
    }
    // One entry: the order of several is not fixed, and equal nets shall be equal files.
    let about = About {
        net: config.clone(),
        sha256: digest(&list),
    };
    let about = serde_json::to_string(&about).map_err(|e| fail(e.to_string()))?;
    let metadata = HashMap::from([("pupil".to_owned(), about)]);
    let file = safetensors::serialize(views, Some(metadata)).map_err(|e| fail(e.to_string()))?;
    write_atomic(path, &file).map_err(|e| fail(e.to_string()))
}

/// Reads a net back.
///
/// # Errors
/// A missing, damaged or foreign file.
pub fn load(
    path: &Path,
    device: &Device,
) -> Result<(EfficientNetConfig, EfficientNet), CheckpointError> {
    let fail = |why: String| CheckpointError {
        path: path.to_owned(),
        why,
    };
    let file = std::fs::read(path).map_err(|e| fail(e.to_string()))?;
    let (_, header) =
        SafeTensors::read_metadata(&file).map_err(|e| fail(format!("damaged checkpoint: {e}")))?;
    let metadata = header.metadata().clone().unwrap_or_default();
    let text = metadata
        .get("pupil")
        .ok_or_else(|| fail("not a checkpoint of a net".into()))?;
    let about: About = serde_json::from_str(text).map_err(|e| fail(e.to_string()))?;
    let config = about.net;
    let tensors =
        SafeTensors::deserialize(&file).map_err(|e| fail(format!("damaged checkpoint: {e}")))?;
    let mut rng = stream(0, "shape only", 0);
    let net = config.init(&mut Init {
        device,
        rng: &mut rng,
    });
    let mut list = Vec::new();
    for slot in collect(&net) {
        let view = tensors
            .tensor(&slot.name)
            .map_err(|e| fail(format!("{}: {e}", slot.name)))?;
        let values = view
            .data()
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect();
        list.push(Named {
            name: slot.name,
            dims: view.shape().to_vec(),
            values,
        });
    }
    if about.sha256 != digest(&list) {
        return Err(fail(
            "damaged checkpoint: the SHA-256 of its values does not match".into(),
        ));
    }
    let net = assign(net, &list).map_err(fail)?;
    Ok((config, net))
}

fn digest(list: &[Named]) -> String {
    let mut sha = Sha256::new();
    for entry in list {
        sha.update(entry.name.as_bytes());
        for v in &entry.values {
            sha.update(v.to_le_bytes());
        }
    }
    hex(&sha.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::CompoundScaling;
    use crate::nn::Activation;

    fn small() -> (EfficientNetConfig, EfficientNet) {
        let scaling = CompoundScaling {
            width: 0.5,
            depth: 1.0,
            resolution: 1.0,
        };
        let config = EfficientNetConfig::tiny([12, 12, 1], 3, scaling, 4, Activation::Silu);
        let mut rng = stream(1, "test", 0);
        let net = config.init(&mut Init {
            device: &Device::flex(),
            rng: &mut rng,
        });
        (config, net)
    }

    #[test]
    fn a_net_comes_back_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("net.safetensors");
        let (config, net) = small();
        save(&path, &config, &net).unwrap();
        let (config2, net2) = load(&path, &Device::flex()).unwrap();
        let again = dir.path().join("again.safetensors");
        save(&again, &config, &net).unwrap();
        assert_eq!(
            std::fs::read(&path).unwrap(),
            std::fs::read(&again).unwrap()
        );
        assert_eq!(config, config2);
        assert_eq!(collect(&net), collect(&net2));
    }

    #[test]
    fn cuts_and_flipped_bits_are_errors() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("net.safetensors");
        let (config, net) = small();
        save(&path, &config, &net).unwrap();
        let good = std::fs::read(&path).unwrap();
        for cut in [0, 1, 7, 8, 100, good.len() / 2, good.len() - 1] {
            std::fs::write(&path, &good[..cut]).unwrap();
            assert!(load(&path, &Device::flex()).is_err(), "cut at {cut}");
        }
        for at in (0..good.len()).step_by(good.len() / 23) {
            let mut bad = good.clone();
            bad[at] ^= 4;
            std::fs::write(&path, &bad).unwrap();
            let outcome = load(&path, &Device::flex());
            // A flip inside the JSON's white space or unused text may be harmless: then nothing changed.
            if let Ok((c, n)) = outcome {
                assert_eq!(
                    (c, collect(&n)),
                    (config.clone(), collect(&net)),
                    "flip at {at}"
                );
            }
        }
    }
}
