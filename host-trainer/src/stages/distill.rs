//! Stage 4: the net for the chip learns the student's answers on all images (Hinton et al.,
//! arXiv 1503.02531), to the same changed image or, as a mean over views, to each image.
//!
//! Beside it the same net is trained on the labels alone, strongly augmented, for as many steps:
//! the baseline of the final table.

use serde::{Deserialize, Serialize};

use super::context::{Context, StageError, Trained, thousands, training_work};
use super::teacher::supervised;
use crate::config::RunConfig;
use crate::data::{Dataset, Images};
use crate::methods::Distillation;
use crate::run_dir::Stage;

/// The stage's two nets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Taught by the student.
    pub distilled: Trained,
    /// The same net on the labels alone.
    pub labels_only: Trained,
}

/// Work per image: training the small net, and the student's forward pass.
fn work_per_image(config: &RunConfig, data: &Dataset) -> (f64, f64) {
    let resolve = |net: &crate::config::NetChoice| net.resolve(data.dims(), data.classes.len());
    let small = training_work(&resolve(&config.distill.net));
    let asked = if config.distill.views == 0 {
        (resolve(&config.student.net).macs() * config.ensemble) as f64
    } else {
        0.0
    };
    (small, asked)
}

/// Work of the answers that are kept.
fn answers_work(config: &RunConfig, data: &Dataset) -> f64 {
    let net = config.student.net.resolve(data.dims(), data.classes.len());
    let images = data.labeled.labels.len() + data.unlabeled.len();
    (net.macs() * images * config.distill.views * config.ensemble) as f64
}

/// Work of the whole stage.
pub fn work(config: &RunConfig, data: &Dataset) -> f64 {
    let (small, student) = work_per_image(config, data);
    let images = |fit: &crate::train::FitConfig| fit.batch as f64 * fit.steps as f64;
    (small + student) * images(&config.distill.fit)
        + small * images(&config.distill.labels_only)
        + answers_work(config, data)
}

/// Trains the net for the chip and its baseline.
///
/// # Errors
/// See [`StageError`].
pub fn run(ctx: &Context<'_>) -> Result<Summary, StageError> {
    let config = &ctx.config.distill;
    let net_config = config.net.resolve(ctx.data.dims(), ctx.classes());
    let pool = pool(ctx.data);
    ctx.progress.stage(
        Stage::Distill,
        &format!(
            "{}, {} parameters, {:.2} MMAC, on all {} images",
            config.net.title(),
            thousands(net_config.parameters()),
            net_config.macs() as f64 / 1e6,
            thousands(pool.len())
        ),
    );
    let student = ctx.ensemble(Stage::Student, "student")?;
    let start = ctx.start(Stage::Distill, "distilled")?;
    let mut objective = Distillation::new(
        pool,
        &student,
        (config.temperature, config.views),
        (config.augment, ctx.normalization),
        &config.fit,
        (ctx.seed("distill"), start.step()),
        &ctx.device(),
    );
    ctx.progress.advance(answers_work(ctx.config, ctx.data));
    let (small, student_work) = work_per_image(ctx.config, ctx.data);
    let (_, distilled) = ctx.train(
        Stage::Distill,
        start,
        (&net_config, None),
        &config.fit,
        small + student_work,
        &mut objective,
    )?;
    drop(objective);
    let (_, labels_only) = supervised(
        ctx,
        Stage::Distill,
        "labels-only",
        (&net_config, None),
        &config.labels_only,
        &config.labels_only_augment,
    )?;
    let summary = Summary {
        distilled,
        labels_only,
    };
    ctx.dir.finish(Stage::Distill, &summary)?;
    Ok(summary)
}

/// Labeled and unlabeled images together.
pub fn pool(data: &Dataset) -> Images {
    data.labeled.images.and(&data.unlabeled)
}
