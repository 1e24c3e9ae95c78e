//! Stage 1: a net on the labeled images alone, strongly augmented (Noisy Student step 1).

use std::sync::{Mutex, PoisonError};

use super::beginning;
use super::context::{Context, StageError, Trained, Training, training_work};
use super::members::nets;
use crate::data::{Augment, Dataset};
use crate::eval::accuracy;
use crate::methods::Supervised;
use crate::methods::pretext::HeadOnly;
use crate::net::{EfficientNet, EfficientNetConfig};
use crate::run::stage::Stage;
use crate::train::{FitConfig, Start};

/// The net's name in the folder of the stage.
const NAME: &str = "teacher";

/// Work of the whole stage.
pub(crate) fn work(config: &crate::config::RunConfig, data: &Dataset) -> f64 {
    let net = config.teacher.net.resolve(data.dims(), data.classes.len());
    beginning::work(config, data) + config.ensemble as f64 * member_work(config, &net)
}

/// Work of one net of the ensemble.
fn member_work(config: &crate::config::RunConfig, net: &EfficientNetConfig) -> f64 {
    let fit = &config.teacher.fit;
    step_work(config, net) * fit.batch as f64 * fit.steps as f64
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
pub(crate) fn run(ctx: &Context<'_>) -> Result<Trained, StageError> {
    let config = &ctx.config.teacher;
    let net = config.net.resolve(ctx.data.dims(), ctx.classes());
    ctx.progress.stage(
        Stage::Teacher,
        &format!(
            "{}, on {} labeled images",
            nets(ctx.config, &config.net, net.parameters()),
            ctx.data.labeled.labels.len()
        ),
    );
    let from = beginning::net(ctx, &net)?;
    let work = member_work(ctx.config, &net);
    // Shared by threads.
    let from = Mutex::new(from);
    let trained = ctx.train_members(Stage::Teacher, NAME, work, &|_, name| {
        let from = from.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (_, trained) = if ctx.config.transfer.head_only {
            head_only(ctx, name, &net, from)?
        } else {
            let (fit, augment) = (&config.fit, &config.augment);
            supervised(ctx, Stage::Teacher, name, (&net, from), fit, augment)?
        };
        Ok(trained)
    })?;
    ctx.dir.finish(Stage::Teacher, &trained)?;
    Ok(trained)
}

/// Trains the classifier alone; the trunk is the one that it begins with.
fn head_only(
    ctx: &Context<'_>,
    name: &str,
    net: &EfficientNetConfig,
    from: Option<EfficientNet>,
) -> Result<(EfficientNet, Trained), StageError> {
    let config = &ctx.config.teacher;
    let start = ctx.start(Stage::Teacher, name, config.fit.steps)?;
    let mut objective = objective(ctx, name, &start, &config.fit, &config.augment);
    let training = Training {
        net: HeadOnly {
            net: from.unwrap_or_else(|| ctx.new_net(net, name)),
        },
        config: net,
        fit: &config.fit,
        work_per_image: step_work(ctx.config, net),
        validate: &|net| accuracy(net, &ctx.data.validation, &ctx.normalization),
        part: |whole| whole.net,
    };
    ctx.train_part(Stage::Teacher, start, training, &mut objective)
}

/// Trains a new net, or goes on with one, on the labeled images alone.
///
/// # Errors
/// See [`StageError`].
pub(crate) fn supervised(
    ctx: &Context<'_>,
    stage: Stage,
    name: &str,
    (net, from): (&EfficientNetConfig, Option<EfficientNet>),
    fit: &FitConfig,
    augment: &Augment,
) -> Result<(EfficientNet, Trained), StageError> {
    let start = ctx.start(stage, name, fit.steps)?;
    let mut objective = objective(ctx, name, &start, fit, augment);
    let work = training_work(net);
    ctx.train(stage, start, (net, from), fit, work, &mut objective)
}

fn objective<'a>(
    ctx: &Context<'a>,
    name: &str,
    start: &Start,
    fit: &'a FitConfig,
    augment: &Augment,
) -> Supervised<'a> {
    Supervised::new(
        &ctx.data.labeled,
        ctx.classes(),
        (*augment, ctx.normalization),
        fit,
        (ctx.seed(name), start.step()),
        &ctx.device(),
    )
}
