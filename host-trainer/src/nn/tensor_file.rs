//! Named tensors on disk, proven whole: safetensors whose one metadata entry holds what the file is
//! about and a SHA-256 over everything. One entry, because the order of several is not fixed, and
//! equal contents shall be equal files. Bytes from disk are parsed here and nowhere else.

use std::collections::HashMap;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::nn::values::Named;
use crate::util::hash::hex;

/// Name of the metadata entry.
const ENTRY: &str = "pupil";

#[derive(Serialize, Deserialize)]
struct Metadata {
    about: String,
    sha256: String,
}

/// The file of `tensors`, which have names of their own, and of `about`.
///
/// # Errors
/// Values that are not as many as their dimensions say.
pub fn to_bytes(tensors: &[Named], about: &str) -> Result<Vec<u8>, String> {
    let bytes: Vec<Vec<u8>> = tensors.iter().map(plain).collect();
    let mut views = Vec::new();
    for (tensor, bytes) in tensors.iter().zip(&bytes) {
        let view = TensorView::new(Dtype::F32, tensor.dims.clone(), bytes)
            .map_err(|e| format!("{}: {e}", tensor.name))?;
        views.push((tensor.name.as_str(), view));
    }
    let metadata = Metadata {
        about: about.to_owned(),
        sha256: digest(tensors, about),
    };
    let metadata = serde_json::to_string(&metadata).map_err(|e| e.to_string())?;
    let metadata = HashMap::from([(ENTRY.to_owned(), metadata)]);
    safetensors::serialize(views, Some(metadata)).map_err(|e| e.to_string())
}

/// What the file is about, and its tensors, ordered by name.
///
/// # Errors
/// Any bytes that [`to_bytes`] has not written.
pub fn from_bytes(bytes: &[u8]) -> Result<(String, Vec<Named>), String> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| e.to_string())?;
    let entry = header.metadata().as_ref().and_then(|m| m.get(ENTRY));
    let entry = entry.ok_or("it was not written by pupil")?;
    let metadata: Metadata = serde_json::from_str(entry).map_err(|e| e.to_string())?;
    let file = SafeTensors::deserialize(bytes).map_err(|e| e.to_string())?;
    let views = file.tensors();
    if let Some((name, view)) = views.iter().find(|(_, v)| v.dtype() != Dtype::F32) {
        return Err(format!(
            "{name} has values of type {:?}, not F32",
            view.dtype()
        ));
    }
    let mut tensors: Vec<Named> = views
        .into_iter()
        .map(|(name, view)| Named {
            name,
            dims: view.shape().to_vec(),
            values: view
                .data()
                .chunks_exact(4)
                .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                .collect(),
        })
        .collect();
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    if metadata.sha256 != digest(&tensors, &metadata.about) {
        return Err("the SHA-256 of its values does not match".into());
    }
    Ok((metadata.about, tensors))
}

fn plain(tensor: &Named) -> Vec<u8> {
    tensor.values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// Over everything, in the order of the names.
fn digest(tensors: &[Named], about: &str) -> String {
    let mut sorted: Vec<&Named> = tensors.iter().collect();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    let mut sha = Sha256::new();
    let mut add = |bytes: &[u8]| {
        sha.update(bytes.len().to_le_bytes());
        sha.update(bytes);
    };
    add(about.as_bytes());
    for tensor in sorted {
        add(tensor.name.as_bytes());
        let dims: Vec<u8> = tensor.dims.iter().flat_map(|d| d.to_le_bytes()).collect();
        add(&dims);
        add(&plain(tensor));
    }
    hex(&sha.finalize())
}
