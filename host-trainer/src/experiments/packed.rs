//! A compared net on the chip: quantized after its training, measured by core's interpreter.

use anyhow::anyhow;
use pupil_core::model::Model;

use crate::data::Dataset;
use crate::data::batch::Normalization;
use crate::eval;
use crate::net::graph::calibrate::ranges;
use crate::net::graph::{Graph, int8};

/// Images that set the int8 ranges.
const CALIBRATION: usize = 200;

/// Share of an activation's values that its int8 range leaves out at either end.
const CLIP: f64 = 1e-4;

/// The graph in int8, its ranges from labeled images.
///
/// # Errors
/// A net that can't be packed.
pub(crate) fn pack(
    graph: &Graph,
    data: &Dataset,
    normalization: &Normalization,
) -> anyhow::Result<Vec<u8>> {
    let images = &data.labeled.images;
    // Evenly over the classes, whatever the order of the images.
    let count = images.len().min(CALIBRATION);
    let picked: Vec<usize> = (0..count)
        .map(|i| i * images.len() / count.max(1))
        .collect();
    let found = ranges(graph, &images.select(&picked), normalization, CLIP);
    int8::build(graph, &found, normalization, &data.classes)
        .map_err(|e| anyhow!("can't be packed: {e}"))
}

/// Share of the test images that a packed net answers rightly, 0 to 1.
///
/// # Errors
/// Bytes that are no model.
pub(crate) fn packed_accuracy(bytes: &[u8], data: &Dataset) -> anyhow::Result<f64> {
    let model = Model::parse(bytes).map_err(|e| anyhow!("can't be packed: {e}"))?;
    Ok(eval::int8::accuracy(&model, &data.test)?)
}
