//! Stage 1: a net on the labeled images alone, strongly augmented (Noisy Student step 1).

use super::context::{Context, StageError, Trained, thousands, training_work};
use crate::data::{Augment, BatchSampler, Dataset, Feed, Loader};
use crate::model::{EfficientNet, EfficientNetConfig};
use crate::nn::noise::Pass;
use crate::run_dir::Stage;
use crate::train::FitConfig;
use crate::train::loss::{one_hot, soft_cross_entropy};

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

/// Trains a net on the labeled images alone: cross-entropy with label smoothing.
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
    let set = &ctx.data.labeled;
    let seed = ctx.seed(name);
    let device = ctx.device();
    let feed = Feed {
        images: set.images.clone(),
        sampler: BatchSampler::new(seed, "labeled", set.labels.len()),
        count: fit.batch,
        entries: None,
        seed,
    };
    let start = ctx.start(stage, name)?;
    let mut loader = Loader::new(vec![feed], *augment, ctx.normalization, start.step());
    let objective = |net: &EfficientNet, _, pass: &mut Pass<'_>| {
        let loaded = loader.next_batch().remove(0);
        let indices = loaded.indices.clone();
        let x = loaded.tensor(&device);
        let labels: Vec<u8> = indices.iter().map(|i| set.labels[*i]).collect();
        let targets = one_hot(&labels, ctx.classes(), fit.label_smoothing, &device);
        soft_cross_entropy(net.forward(x, pass), targets)
    };
    let trained = ctx.train(stage, start, net, fit, training_work(net), objective)?;
    ctx.waited(&loader);
    Ok(trained)
}
