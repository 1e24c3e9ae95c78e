//! Stage 5: ranges of every activation, and what int8 costs in accuracy (post-training
//! quantization: Jacob et al., arXiv 1712.05877).

use serde::{Deserialize, Serialize};

use super::context::{Context, StageError};
use crate::config::RunConfig;
use crate::data::Dataset;
use crate::eval;
use crate::eval::accuracy;
use crate::net::graph::calibrate::{Range, ranges};
use crate::net::graph::float::Place;
use crate::net::graph::fold::fold;
use crate::net::graph::int8;
use crate::run::error::RunDirError;
use crate::run::stage::Stage;
use pupil_core::model::Model;

/// What the stage leaves for the next one.
const RANGES: &str = "ranges.json";

/// The stage's result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Summary {
    /// Images that set the ranges.
    pub calibration_images: usize,
    /// Validation accuracy of the float net, 0 to 1.
    pub float: f64,
    /// Validation accuracy of the int8 net by core's interpreter, 0 to 1.
    pub int8: f64,
}

/// Work of the stage.
pub(crate) fn work(config: &RunConfig, data: &Dataset) -> f64 {
    let net = config.distill.net.resolve(data.dims(), data.classes.len());
    // The plain f32 loops take about ten times a training pass's time per multiply.
    10.0 * net.macs() as f64 * config.quantize.calibration_images as f64
}

/// Calibrates and measures.
///
/// # Errors
/// See [`StageError`].
pub(crate) fn run(ctx: &Context<'_>) -> Result<Summary, StageError> {
    let config = &ctx.config.quantize;
    let pool = ctx.data.pool();
    let count = config.calibration_images.min(pool.len());
    ctx.progress.stage(
        Stage::Quantize,
        &format!("per-channel weights, activation ranges from {count} images"),
    );
    let (net_config, net) = ctx.load(Stage::Distill, "distilled")?;
    let graph = fold(&net_config, &net);
    // Evenly over labeled and unlabeled images.
    let picked: Vec<usize> = (0..count).map(|i| i * pool.len() / count.max(1)).collect();
    let found = ranges(
        &graph,
        &pool.select(&picked),
        &ctx.normalization,
        config.clip,
    );
    let list: Vec<(Place, Range)> = found.iter().map(|(p, r)| (*p, *r)).collect();
    ctx.dir
        .write_json(&ctx.dir.file(Stage::Quantize, RANGES)?, &list)?;
    let bytes = int8::build(&graph, &found, &ctx.normalization, &ctx.data.classes)
        .map_err(|e| StageError::Build(e.to_string()))?;
    let model = Model::parse(&bytes).map_err(|e| StageError::Build(e.to_string()))?;
    let set = &ctx.data.validation;
    let int8 = eval::int8::accuracy(&model, set).map_err(|e| StageError::Build(e.to_string()))?;
    let summary = Summary {
        calibration_images: count,
        float: accuracy(&net, set, &ctx.normalization),
        int8,
    };
    ctx.progress.advance(work(ctx.config, ctx.data));
    ctx.progress.say(&format!(
        "  validation: float {:.1} %, int8 {:.1} %",
        100.0 * summary.float,
        100.0 * summary.int8
    ));
    ctx.dir.finish(Stage::Quantize, &summary)?;
    Ok(summary)
}

/// The ranges that the stage has saved.
///
/// # Errors
/// A missing or damaged file.
pub(crate) fn load(
    ctx: &Context<'_>,
) -> Result<std::collections::BTreeMap<Place, Range>, StageError> {
    let bytes = ctx.dir.read(Stage::Quantize, RANGES)?;
    let damaged = |why: String| -> Result<_, RunDirError> {
        let path = ctx.dir.file(Stage::Quantize, RANGES)?;
        Err(RunDirError::Damaged { path, why })
    };
    let list: Vec<(Place, Range)> = match serde_json::from_slice(&bytes) {
        Ok(list) => list,
        Err(e) => return Ok(damaged(e.to_string())?),
    };
    let wrong = |r: &Range| !(r.min <= 0.0 && r.max >= 0.0 && (r.max - r.min).is_finite());
    if let Some((place, range)) = list.iter().find(|(_, r)| wrong(r)) {
        return Ok(damaged(format!("{place:?} has the range {range:?}"))?);
    }
    Ok(list.into_iter().collect())
}
