//! Nets on disk: their numbers and the configuration that gives them a shape.

use std::collections::BTreeMap;

use burn::tensor::Device;

use crate::net::{EfficientNet, EfficientNetConfig};
use crate::nn::init::Init;
use crate::nn::tensor_file;
use crate::nn::values::{Named, assign, collect};
use crate::util::random::stream;

/// The file of a net and its configuration.
///
/// # Errors
/// None; a net's numbers can be written.
pub(crate) fn to_bytes(config: &EfficientNetConfig, net: &EfficientNet) -> Result<Vec<u8>, String> {
    let about = serde_json::to_string(config).map_err(|e| e.to_string())?;
    tensor_file::to_bytes(&collect(net), &about)
}

/// The net in a file, and its configuration.
///
/// # Errors
/// A damaged or foreign file, in words.
pub(crate) fn from_bytes(
    bytes: &[u8],
    device: &Device,
) -> Result<(EfficientNetConfig, EfficientNet), String> {
    let (config, list) = parse(bytes)?;
    // Only now: as much memory as the file's own numbers.
    let net = config.init(&mut Init {
        device,
        rng: &mut stream(0, "shape only", 0),
    });
    Ok((config, assign(net, &list)?))
}

/// The numbers in a checkpoint, in field order, without a net.
///
/// # Errors
/// A damaged or foreign file, in words; numbers that are none.
pub(crate) fn numbers(bytes: &[u8]) -> Result<Vec<Named>, String> {
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
    use crate::net::CompoundScaling;
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
        let (config, net) = small();
        let bytes = to_bytes(&config, &net).unwrap();
        assert_eq!(bytes, to_bytes(&config, &net).unwrap());
        let (config2, net2) = from_bytes(&bytes, &Device::flex()).unwrap();
        assert_eq!(config, config2);
        assert_eq!(collect(&net), collect(&net2));
    }

    #[test]
    fn cuts_and_flipped_bits_are_errors() {
        let (config, net) = small();
        let good = to_bytes(&config, &net).unwrap();
        for cut in [0, 1, 7, 8, 100, good.len() / 2, good.len() - 1] {
            let outcome = from_bytes(&good[..cut], &Device::flex());
            assert!(outcome.is_err(), "cut at {cut}");
        }
        for at in (0..good.len()).step_by(good.len() / 23) {
            let mut bad = good.clone();
            bad[at] ^= 4;
            let outcome = from_bytes(&bad, &Device::flex());
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
            assert!(from_bytes(&bytes, &Device::flex()).is_err());
        }
        // A header that claims to be longer than the file.
        let mut long = crafted(|_| ());
        long[..8].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(from_bytes(&long, &Device::flex()).is_err());
    }
}
