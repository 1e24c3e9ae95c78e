//! Nets on disk: their numbers and the configuration that gives them a shape.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::Device;
use thiserror::Error;

use crate::model::{EfficientNet, EfficientNetConfig};
use crate::nn::init::Init;
use crate::nn::values::{Named, assign, collect};
use crate::random::stream;
use crate::run_dir::{read_file, repeat, write_atomic};
use crate::tensor_file;

/// A checkpoint that can't be written or read.
#[derive(Debug, Error)]
#[error("{path}: {why}\n  do:    {}", repeat(path))]
pub struct CheckpointError {
    path: std::path::PathBuf,
    why: String,
}

impl CheckpointError {
    fn new(path: &Path, why: String) -> Self {
        Self {
            path: path.to_owned(),
            why,
        }
    }
}

/// The file of a net and its configuration.
///
/// # Errors
/// None; a net's numbers can be written.
pub fn to_bytes(config: &EfficientNetConfig, net: &EfficientNet) -> Result<Vec<u8>, String> {
    let about = serde_json::to_string(config).map_err(|e| e.to_string())?;
    tensor_file::to_bytes(&collect(net), &about)
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
    let write = || write_atomic(path, &to_bytes(config, net)?).map_err(|e| e.to_string());
    write().map_err(|why| CheckpointError::new(path, why))
}

/// Reads a net back.
///
/// # Errors
/// A missing, damaged or foreign file.
pub fn load(
    path: &Path,
    device: &Device,
) -> Result<(EfficientNetConfig, EfficientNet), CheckpointError> {
    let bytes = read_file(path).map_err(|e| CheckpointError::new(path, e.to_string()))?;
    from_bytes(path, &bytes, device)
}

/// [`load`] from the bytes of the file at `path`.
///
/// # Errors
/// As [`load`].
pub fn from_bytes(
    path: &Path,
    bytes: &[u8],
    device: &Device,
) -> Result<(EfficientNetConfig, EfficientNet), CheckpointError> {
    let build = || {
        let (config, list) = parse(bytes)?;
        // Only now: as much memory as the file's own numbers.
        let net = config.init(&mut Init {
            device,
            rng: &mut stream(0, "shape only", 0),
        });
        Ok((config, assign(net, &list)?))
    };
    build().map_err(|why: String| CheckpointError::new(path, why))
}

/// The numbers in a checkpoint, in field order, without a net.
///
/// # Errors
/// A damaged or foreign file, in words; numbers that are none.
pub fn numbers(bytes: &[u8]) -> Result<Vec<Named>, String> {
    let (_, list) = parse(bytes)?;
    match list
        .iter()
        .find(|n| n.values.iter().any(|v| !v.is_finite()))
    {
        Some(entry) => Err(format!("{} has values that are no numbers", entry.name)),
        None => Ok(list),
    }
}

/// What the bytes of a checkpoint hold, compared with the net that they describe.
fn parse(bytes: &[u8]) -> Result<(EfficientNetConfig, Vec<Named>), String> {
    let (about, tensors) =
        tensor_file::from_bytes(bytes).map_err(|e| format!("damaged checkpoint: {e}"))?;
    let config: EfficientNetConfig =
        serde_json::from_str(&about).map_err(|e| format!("it holds no net of this kind: {e}"))?;
    config.check()?;
    let mut by_name: BTreeMap<String, Named> =
        tensors.into_iter().map(|t| (t.name.clone(), t)).collect();
    let mut list = Vec::new();
    for (name, dims) in config.entries() {
        match by_name.remove(&name) {
            Some(entry) if entry.dims == dims => list.push(entry),
            Some(entry) => {
                return Err(format!("{name} is {:?}, its net's is {dims:?}", entry.dims));
            }
            None => return Err(format!("it lacks a part of its net: {name}")),
        }
    }
    match by_name.keys().next() {
        Some(name) => Err(format!("{name} is no part of its net")),
        None => Ok((config, list)),
    }
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

    /// A checkpoint that says of itself what `change` makes of the small net's description.
    fn crafted(change: impl Fn(&mut EfficientNetConfig)) -> Vec<u8> {
        let (mut config, net) = small();
        change(&mut config);
        to_bytes(&config, &net).unwrap()
    }

    #[test]
    fn a_crafted_checkpoint_reserves_no_memory_and_does_not_panic() {
        let wrong: [fn(&mut EfficientNetConfig); 6] = [
            |c| c.head_ch = usize::MAX / 2,
            |c| c.classes = 65_535,
            |c| c.stem_stride = 0,
            |c| c.blocks[0].kernel = 0,
            |c| c.blocks[0].expand_ratio = 60,
            |c| c.blocks.clear(),
        ];
        for change in wrong {
            let bytes = crafted(change);
            let error = from_bytes(Path::new("x"), &bytes, &Device::flex());
            assert!(error.unwrap_err().to_string().contains("do:"));
        }
        // A header that claims to be longer than the file.
        let mut long = crafted(|_| ());
        long[..8].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(from_bytes(Path::new("x"), &long, &Device::flex()).is_err());
    }

    #[test]
    fn what_is_no_file_or_has_no_end_is_not_read() {
        for path in ["/dev/zero", "/"] {
            let error = load(Path::new(path), &Device::flex()).unwrap_err();
            assert!(error.to_string().contains(path), "{error}");
        }
    }
}
