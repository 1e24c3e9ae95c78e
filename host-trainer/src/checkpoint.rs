//! Nets on disk: their numbers and the configuration that gives them a shape.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::Device;
use thiserror::Error;

use crate::model::{EfficientNet, EfficientNetConfig};
use crate::nn::init::Init;
use crate::nn::values::{Named, assign, collect};
use crate::random::stream;
use crate::run_dir::{repeat, write_atomic};
use crate::tensor_file;

/// A checkpoint that can't be written or read.
#[derive(Debug, Error)]
#[error("{path}: {why}\n  do:    {}", repeat(path))]
pub struct CheckpointError {
    path: std::path::PathBuf,
    /// What is wrong with it, without advice.
    pub why: String,
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
    let write = || {
        let about = serde_json::to_string(config).map_err(|e| e.to_string())?;
        let file = tensor_file::to_bytes(&collect(net), &about)?;
        write_atomic(path, &file).map_err(|e| e.to_string())
    };
    write().map_err(|why| CheckpointError {
        path: path.to_owned(),
        why,
    })
}

/// Reads a net back.
///
/// # Errors
/// A missing, damaged or foreign file.
pub fn load(
    path: &Path,
    device: &Device,
) -> Result<(EfficientNetConfig, EfficientNet), CheckpointError> {
    let read = || {
        let file = std::fs::read(path).map_err(|e| e.to_string())?;
        let (about, tensors) =
            tensor_file::from_bytes(&file).map_err(|e| format!("damaged checkpoint: {e}"))?;
        let config: EfficientNetConfig = serde_json::from_str(&about).map_err(|e| e.to_string())?;
        let mut rng = stream(0, "shape only", 0);
        let net = config.init(&mut Init {
            device,
            rng: &mut rng,
        });
        let mut by_name: BTreeMap<String, Named> =
            tensors.into_iter().map(|t| (t.name.clone(), t)).collect();
        let list: Option<Vec<Named>> = collect(&net)
            .iter()
            .map(|slot| by_name.remove(&slot.name))
            .collect();
        let list = list.ok_or("it lacks a part of its net")?;
        Ok((config, assign(net, &list)?))
    };
    read().map_err(|why: String| CheckpointError {
        path: path.to_owned(),
        why,
    })
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
