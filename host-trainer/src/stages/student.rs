//! Stage 3: a net of at least the teacher's size, noised, on labels and pseudo-labels together
//! (Noisy Student step 3, arXiv 1911.04252).

use super::context::{Context, StageError, Trained, thousands, training_work};
use super::pseudo_labels;
use crate::config::RunConfig;
use crate::data::Dataset;
use crate::methods::NoisyStudent;
use crate::run_dir::Stage;

/// Work of the whole stage.
pub fn work(config: &RunConfig, data: &Dataset) -> f64 {
    let net = config.student.net.resolve(data.dims(), data.classes.len());
    training_work(&net) * config.student.fit.batch as f64 * config.student.fit.steps as f64
}

/// Trains the student.
///
/// # Errors
/// See [`StageError`].
pub fn run(ctx: &Context<'_>) -> Result<Trained, StageError> {
    let config = &ctx.config.student;
    let net_config = config.net.resolve(ctx.data.dims(), ctx.classes());
    let pseudo = pseudo_labels::load(ctx)?;
    ctx.progress.stage(
        Stage::Student,
        &format!(
            "{}, {} parameters, on labels and {} pseudo-labels, with noise",
            config.net.title(),
            thousands(net_config.parameters()),
            thousands(pseudo.indices.len())
        ),
    );
    let start = ctx.start(Stage::Student, "student")?;
    let mut objective = NoisyStudent::new(
        ctx.data,
        &pseudo,
        (config.augment, ctx.normalization),
        (&config.fit, config.unlabeled_ratio),
        (ctx.seed("student"), start.step()),
        &ctx.device(),
    );
    let (_, trained) = ctx.train(
        Stage::Student,
        start,
        &net_config,
        &config.fit,
        training_work(&net_config),
        &mut objective,
    )?;
    ctx.dir.finish(Stage::Student, &trained)?;
    Ok(trained)
}
