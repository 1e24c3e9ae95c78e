//! Reads `layer-vectors-v1`: layers.json and data.bin. Untrusted bytes: nothing here panics.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The only format that is read.
pub const FORMAT: &str = "layer-vectors-v1";

/// One folder of vectors.
#[derive(Debug)]
pub struct Vectors {
    /// The layers in order.
    pub layers: Vec<Layer>,
    /// All tensors' bytes.
    pub data: Vec<u8>,
}

/// layers.json.
#[derive(Debug, Serialize, Deserialize)]
pub struct File {
    /// [`FORMAT`].
    pub format: String,
    /// What the fields mean.
    #[serde(default)]
    pub conventions: String,
    /// Who made them.
    #[serde(default)]
    pub origin: String,
    /// The layers.
    pub layers: Vec<Layer>,
}

/// One layer; fields that its operator does not use are zero.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Layer {
    /// Operator.
    pub op: String,
    /// Name, unique in the folder.
    pub name: String,
    /// Input dimensions, one to three.
    #[serde(rename = "in")]
    pub input: Vec<usize>,
    /// Output dimensions, one to three.
    #[serde(rename = "out")]
    pub output: Vec<usize>,
    /// −zero point of the input.
    pub in_off: i32,
    /// −zero point of the second input.
    pub in2_off: i32,
    /// Zero point of the output.
    pub out_off: i32,
    /// Clamps.
    pub act: Vec<i32>,
    /// Kernel height.
    pub kh: usize,
    /// Kernel width.
    pub kw: usize,
    /// Stride down.
    pub sh: usize,
    /// Stride right.
    pub sw: usize,
    /// Rows above the image.
    pub ph: usize,
    /// Columns left of the image.
    pub pw: usize,
    /// Multiplier of all channels.
    pub mult: i32,
    /// Its shift.
    pub shift: i32,
    /// Multiplier of the first summand.
    pub in1_mult: i32,
    /// Its shift.
    pub in1_shift: i32,
    /// Multiplier of the second summand.
    pub in2_mult: i32,
    /// Its shift.
    pub in2_shift: i32,
    /// Bits that summands are shifted left by.
    pub left_shift: u32,
    /// Softmax: least difference that counts.
    pub diff_min: i32,
    /// Sequence: the layers by name.
    pub steps: Vec<String>,
    /// Sequence without expected output.
    pub timing_only: bool,
    /// Tensors by role: x, x2, w, b, mult, shift, table, y.
    pub tensors: BTreeMap<String, Tensor>,
}

/// Where a tensor lies in data.bin.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Tensor {
    /// "int8" or "int32".
    pub dtype: String,
    /// Dimensions.
    pub shape: Vec<usize>,
    /// First byte.
    pub offset: usize,
    /// Bytes.
    pub nbytes: usize,
}

/// The folders that hold vectors: those given, or the ones in them, sorted.
///
/// # Errors
/// A folder without any.
pub fn find(folders: &[&str]) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    for folder in folders {
        let path = PathBuf::from(folder);
        let is_one = |p: &Path| p.join("layers.json").is_file();
        if is_one(&path) {
            found.push(path);
            continue;
        }
        let entries = std::fs::read_dir(&path).map_err(|e| {
            format!("{folder}: {e}\n  do:    give a folder with layers.json and data.bin")
        })?;
        let before = found.len();
        found.extend(entries.flatten().map(|e| e.path()).filter(|p| is_one(p)));
        if found.len() == before {
            return Err(format!(
                "{folder}: no layers.json in it or in the folders below\n  \
                 do:    give a folder with layers.json and data.bin"
            ));
        }
        found[before..].sort();
    }
    Ok(found)
}

impl Layer {
    /// Height, width, channels of one to three dimensions; a leading batch of 1 may stand before.
    pub fn dims(&self, dims: &[usize]) -> [usize; 3] {
        match *dims {
            [h, w, c] | [1, h, w, c] => [h, w, c],
            [w, c] => [1, w, c],
            [c] => [1, 1, c],
            _ => [0; 3],
        }
    }

    /// Lower and upper clamp.
    pub fn clamps(&self) -> (i8, i8) {
        match *self.act.as_slice() {
            [min, max] => (min.clamp(-128, 127) as i8, max.clamp(-128, 127) as i8),
            _ => (-128, 127),
        }
    }
}

impl Vectors {
    /// Reads a folder.
    ///
    /// # Errors
    /// The file and what is wrong with it.
    pub fn read(folder: &Path) -> Result<Self, String> {
        let path = folder.join("layers.json");
        let at = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
        let text = std::fs::read_to_string(&path).map_err(|e| at(&e))?;
        let file: File = serde_json::from_str(&text).map_err(|e| at(&e))?;
        if file.format != FORMAT {
            return Err(at(&format!(
                "format is `{}`, this program reads {FORMAT}",
                file.format
            )));
        }
        let path = folder.join("data.bin");
        let data = std::fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(Self {
            layers: file.layers,
            data,
        })
    }

    fn bytes(&self, layer: &Layer, role: &str) -> Result<&[u8], String> {
        let tensor = layer
            .tensors
            .get(role)
            .ok_or_else(|| format!("no tensor `{role}`"))?;
        let end = tensor.offset.checked_add(tensor.nbytes);
        end.and_then(|end| self.data.get(tensor.offset..end))
            .ok_or_else(|| format!("tensor `{role}` lies beyond data.bin"))
    }

    /// An int8 tensor.
    ///
    /// # Errors
    /// A missing tensor.
    pub fn int8(&self, layer: &Layer, role: &str) -> Result<Vec<i8>, String> {
        Ok(self.bytes(layer, role)?.iter().map(|b| *b as i8).collect())
    }

    /// An int32 tensor of `len` values; a single value stands for all, and without the tensor
    /// `otherwise` does.
    ///
    /// # Errors
    /// Another length, or neither tensor nor number.
    pub fn int32(
        &self,
        layer: &Layer,
        role: &str,
        len: usize,
        otherwise: Option<i32>,
    ) -> Result<Vec<i32>, String> {
        if let (false, Some(value)) = (layer.tensors.contains_key(role), otherwise) {
            return Ok(vec![value; len]);
        }
        let (words, _) = self.bytes(layer, role)?.as_chunks::<4>();
        let values: Vec<i32> = words.iter().map(|w| i32::from_le_bytes(*w)).collect();
        match values.as_slice() {
            [one] => Ok(vec![*one; len]),
            all if all.len() == len => Ok(values),
            all => Err(format!(
                "tensor `{role}` has {} values, needs {len}",
                all.len()
            )),
        }
    }
}
