//! Stage 1: a net on the labeled images alone, strongly augmented (Noisy Student step 1).

use super::context::{Context, StageError, Trained, thousands, training_work};
use crate::data::{Augment, Dataset};
use crate::methods::Supervised;
use crate::model::{EfficientNet, EfficientNetConfig};
use crate::run_dir::Stage;
use crate::train::FitConfig;

/// Work of the whole stage.
pub fn work(config: &crate::config::RunConfig, data: &Dataset) -> f64 {
    let net = config.teacher.net.resolve(data.dims(), data.classes.len());
    training_work(&net) * config.teacher.fit.batch as f64 * config.teacher.fit.steps as f64
}

/// Trains the teacher.
///
/// # Errors
/// See [`StageError`].
pub fn run(ctx: &Context<'_>) -> Result<Trained, StageError> {
    let config = &ctx.config.teacher;
    let net = config.net.resolve(ctx.data.dims(), ctx.classes());
    ctx.progress.stage(
        Stage::Teacher,
        &format!(
            "{}, {} parameters, on {} labeled images",
            config.net.title(),
            thousands(net.parameters()),
            ctx.data.labeled.labels.len()
        ),
    );
    let (_, trained) = supervised(
        ctx,
        Stage::Teacher,
        "teacher",
        &net,
        &config.fit,
        &config.augment,
    )?;
    ctx.dir.finish(Stage::Teacher, &trained)?;
    Ok(trained)
}

/// Trains a net on the labeled images alone.
///
/// # Errors
/// See [`StageError`].
pub fn supervised(
    ctx: &Context<'_>,
    stage: Stage,
    name: &'static str,
    net: &EfficientNetConfig,
    fit: &FitConfig,
    augment: &Augment,
) -> Result<(EfficientNet, Trained), StageError> {
    let start = ctx.start(stage, name)?;
    let mut objective = Supervised::new(
        &ctx.data.labeled,
        ctx.classes(),
        (*augment, ctx.normalization),
        fit,
        (ctx.seed(name), start.step()),
        &ctx.device(),
    );
    let trained = ctx.train(
        stage,
        start,
        (net, None),
        fit,
        training_work(net),
        &mut objective,
    )?;
    Ok(trained)
}
