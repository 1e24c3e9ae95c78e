//! The file: records and sections as they grow, the memory plan, the bytes.

use std::format;
use std::vec;
use std::vec::Vec;

use super::layers::{ModelBuilder, Tensor};
use super::spec::{BuildError, TensorId, check_label};
use crate::model::bytes::crc32;
use crate::model::header::{CRC_START, HEADER_BYTES, LAYER_BYTES, MAGIC, Model, TENSOR_BYTES};
use crate::model::layer::{NONE, code, layout};
use crate::model::{MAX_LAYERS, PLAIN_VERSION};
use crate::plan::{Demand, Plan};
use crate::quant::Affine;
use crate::shape::{Shape, Window};

impl ModelBuilder {
    /// Plans the memory, writes the file and parses it back.
    ///
    /// # Errors
    /// Whatever [`Model::parse`] says of the written bytes, or labels and sizes that the format
    /// can't hold.
    pub fn finish(self) -> Result<Vec<u8>, BuildError> {
        if self.records.len() > MAX_LAYERS {
            let layers = self.records.len();
            return Err(BuildError(format!(
                "{layers} layers, a packed model has {MAX_LAYERS} at most"
            )));
        }
        let scratch: Vec<(usize, usize)> = self
            .records
            .iter()
            .enumerate()
            .map(|(i, r)| (i, u32::from_le_bytes([r[36], r[37], r[38], r[39]]) as usize))
            .filter(|(_, len)| *len > 0)
            .collect();
        let plan = Plan::new(&self.demands(), &scratch);
        let mut records = self.records.clone();
        for ((layer, _), entry) in scratch.iter().zip(&plan.scratch) {
            records[*layer][32..36].copy_from_slice(&(entry.offset as u32).to_le_bytes());
        }
        let side = |n: usize| {
            u16::try_from(n).map_err(|_| BuildError(format!("a side of {n} exceeds 65,535")))
        };
        let mut file = vec![0u8; HEADER_BYTES];
        let labels_at = file.len();
        for label in &self.labels {
            check_label(label)?;
            file.push(label.len() as u8);
            file.extend(label.as_bytes());
        }
        pad(&mut file, 4);
        let tensors_at = file.len();
        for (tensor, entry) in self.tensors.iter().zip(&plan.entries) {
            let start = file.len();
            for n in [tensor.shape.h, tensor.shape.w, tensor.shape.c] {
                file.extend(side(n)?.to_le_bytes());
            }
            file.push(tensor.affine.zero_point as u8);
            file.push(0);
            file.extend(tensor.affine.scale.to_le_bytes());
            file.extend((entry.offset as u32).to_le_bytes());
            debug_assert_eq!(file.len() - start, TENSOR_BYTES);
        }
        let layers_at = file.len();
        file.extend(records.iter().flatten());
        pad(&mut file, 16);
        let weights_at = file.len();
        file.extend(&self.weights);

        let mut header = Vec::with_capacity(HEADER_BYTES);
        header.extend(MAGIC);
        header.extend(PLAIN_VERSION.to_le_bytes());
        header.extend((HEADER_BYTES as u16).to_le_bytes());
        header.extend((file.len() as u32).to_le_bytes());
        header.extend([0; 4]);
        header.extend(side(self.labels.len())?.to_le_bytes());
        header.extend(side(self.records.len())?.to_le_bytes());
        header.extend([self.input.format.code(), 0, 0, 0]);
        for offset in [labels_at, tensors_at, layers_at, weights_at, plan.peak] {
            header.extend((offset as u32).to_le_bytes());
        }
        header.extend((self.macs.min(u64::from(u32::MAX)) as u32).to_le_bytes());
        file[..HEADER_BYTES].copy_from_slice(&header);
        let crc = crc32(&file[CRC_START..]).to_le_bytes();
        file[CRC_START - 4..CRC_START].copy_from_slice(&crc);
        Model::parse(&file)?;
        Ok(file)
    }

    /// Life of each tensor, and whom it replaces.
    fn demands(&self) -> Vec<Demand> {
        let layers = self.records.len();
        let reads = |t: usize, i: usize| self.reads[i].0 == t || self.reads[i].1 == Some(t);
        let last = |t: usize| {
            let reader = (t..layers).rev().find(|i| reads(t, *i));
            if t == layers {
                layers - 1
            } else {
                reader.unwrap_or(t.saturating_sub(1))
            }
        };
        (0..self.tensors.len())
            .map(|t| {
                // Layer t − 1 writes tensor t; it may replace an input that nobody reads later.
                let replaces = t.checked_sub(1).and_then(|i| {
                    let (a, b) = self.reads[i];
                    let [first, second] = self.in_place[i];
                    let free = |x: usize| {
                        let fits = self.tensors[x].shape == self.tensors[t].shape;
                        // As `Layer::may_replace`.
                        let takes = (a != x || first) && (b != Some(x) || second);
                        (takes && fits && last(x) == i).then_some(x)
                    };
                    free(a).or_else(|| b.and_then(free))
                });
                Demand {
                    len: self.tensors[t].shape.len(),
                    first: t.saturating_sub(1),
                    last: last(t),
                    replaces,
                }
            })
            .collect()
    }

    pub(super) fn record(
        &self,
        operator: u8,
        window: &Window,
        zero_point: i8,
        act: (i8, i8),
    ) -> Result<[u8; LAYER_BYTES], BuildError> {
        let mut record = [0; LAYER_BYTES];
        record[0] = operator;
        let sides = [
            window.kernel_h,
            window.kernel_w,
            window.stride_h,
            window.stride_w,
            window.pad_top,
            window.pad_left,
        ];
        for (byte, side) in record[6..12].iter_mut().zip(sides) {
            *byte = u8::try_from(side)
                .map_err(|_| BuildError(format!("a window side of {side} exceeds 255")))?;
        }
        record[12] = zero_point as u8;
        record[13] = act.0 as u8;
        record[14] = act.1 as u8;
        Ok(record)
    }

    /// Appends bytes to the weights section, aligned to 16, and notes where.
    pub(super) fn section(&mut self, record: &mut [u8; LAYER_BYTES], field: usize, bytes: &[u8]) {
        pad(&mut self.weights, 16);
        record[field..field + 4].copy_from_slice(&(self.weights.len() as u32).to_le_bytes());
        self.weights.extend(bytes);
    }

    pub(super) fn constants(&mut self, record: &mut [u8; LAYER_BYTES], words: &[i32]) {
        let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        self.section(record, 28, &bytes);
    }

    pub(super) fn push(
        &mut self,
        mut record: [u8; LAYER_BYTES],
        a: TensorId,
        b: Option<TensorId>,
        shape: Shape,
        affine: Affine,
    ) -> TensorId {
        record[2..4].copy_from_slice(&(a.0 as u16).to_le_bytes());
        let second = b.map_or(NONE, |b| b.0 as u16);
        record[4..6].copy_from_slice(&second.to_le_bytes());
        self.in_place.push([
            matches!(record[0], code::ADD | code::MUL | code::LOOKUP)
                || record[0] == code::DEPTHWISE
                    && matches!(record[15], layout::ROW_PAIRS_FAST | layout::ROW_PAIRS),
            record[0] == code::ADD,
        ]);
        self.records.push(record);
        self.reads.push((a.0, b.map(|b| b.0)));
        self.tensors.push(Tensor { shape, affine });
        TensorId(self.tensors.len() - 1)
    }
}

fn pad(bytes: &mut Vec<u8>, to: usize) {
    bytes.resize(bytes.len().next_multiple_of(to), 0);
}
