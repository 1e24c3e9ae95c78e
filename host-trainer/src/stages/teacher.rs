//! Stage 1: a net on the labeled images alone, strongly augmented (Noisy Student step 1).

use super::beginning;
use super::context::{Context, StageError, Trained, Training, thousands, training_work};
use crate::data::{Augment, Dataset};
use crate::methods::Supervised;
use crate::methods::pretext::HeadOnly;
use crate::model::{EfficientNet, EfficientNetConfig};
use crate::run_dir::Stage;
use crate::train::{FitConfig, accuracy};

/// Work of the whole stage.
pub fn work(config: &crate::config::RunConfig, data: &Dataset) -> f64 {
    let net = config.teacher.net.resolve(data.dims(), data.classes.len());
    let fit = &config.teacher.fit;
    beginning::work(config, data) + step_work(config, &net) * fit.batch as f64 * fit.steps as f64
}

/// Work of training the net on one image; a trunk that stays has a forward pass alone.
fn step_work(config: &crate::config::RunConfig, net: &EfficientNetConfig) -> f64 {
    if config.transfer.head_only {
        net.macs() as f64
    } else {
        training_work(net)
    }
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
    let from = beginning::net(ctx, &net)?;
    let start = ctx.start(Stage::Teacher, "teacher")?;
    let setup = Supervised::new(
        &ctx.data.labeled,
        ctx.classes(),
        (config.augment, ctx.normalization),
        &config.fit,
        (ctx.seed("teacher"), start.step()),
        &ctx.device(),
    );
    let (mut objective, work) = (setup, step_work(ctx.config, &net));
    let (_, trained) = if ctx.config.transfer.head_only {
        let training = Training {
            net: HeadOnly {
                net: from.unwrap_or_else(|| ctx.new_net(&net, "teacher")),
            },
            config: &net,
            fit: &config.fit,
            work_per_image: work,
            validate: &|net| accuracy(net, &ctx.data.validation, &ctx.normalization),
            part: |whole| whole.net,
        };
        ctx.train_part(Stage::Teacher, start, training, &mut objective)?
    } else {
        let (net, fit) = ((&net, from), &config.fit);
        ctx.train(Stage::Teacher, start, net, fit, work, &mut objective)?
    };
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
