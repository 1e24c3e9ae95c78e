//! Stage 4: the net for the chip learns the student's answers on all images (Hinton et al.,
//! arXiv 1503.02531), to the same changed image or, as a mean over views, to each image.
//!
//! Beside it the same net is trained on the labels alone, strongly augmented, for as many steps:
//! the baseline of the final table.

mod answers;
#[cfg(test)]
mod testing;

use serde::{Deserialize, Serialize};

use super::context::{Context, StageError, Trained, training_work};
use super::teacher::supervised;
use crate::config::RunConfig;
use crate::data::{Dataset, Images};
use crate::methods::{Answers, Distillation};
use crate::net::EfficientNetConfig;
use crate::run::stage::Stage;
use crate::train::FitConfig;
use crate::util::numbers::thousands;

/// What the stage's nets are called in its folder.
const DISTILLED: &str = "distilled";
const LABELS_ONLY: &str = "labels-only";

/// The stage's two nets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Summary {
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

/// Work of the net that the student teaches, and of its baseline.
fn works(config: &RunConfig, data: &Dataset) -> (f64, f64) {
    let (small, student) = work_per_image(config, data);
    let images = |fit: &FitConfig| fit.batch as f64 * fit.steps as f64;
    (
        (small + student) * images(&config.distill.fit) + answers::work(config, data),
        small * images(&config.distill.labels_only),
    )
}

/// Work of the whole stage.
pub(crate) fn work(config: &RunConfig, data: &Dataset) -> f64 {
    let (distilled, labels_only) = works(config, data);
    distilled + labels_only
}

/// Trains the net for the chip and its baseline.
///
/// # Errors
/// See [`StageError`].
pub(crate) fn run(ctx: &Context<'_>) -> Result<Summary, StageError> {
    let config = &ctx.config.distill;
    let net_config = config.net.resolve(ctx.data.dims(), ctx.classes());
    let pool = ctx.data.pool();
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
    let (distilled_work, labels_only_work) = works(ctx.config, ctx.data);
    let distilled = match ctx.done_before(Stage::Distill, DISTILLED, distilled_work)? {
        Some(trained) => trained,
        None => distill(ctx, &net_config, pool)?,
    };
    let labels_only = match ctx.done_before(Stage::Distill, LABELS_ONLY, labels_only_work)? {
        Some(trained) => trained,
        None => {
            let (fit, augment) = (&config.labels_only, &config.labels_only_augment);
            let net = (&net_config, None);
            supervised(ctx, Stage::Distill, LABELS_ONLY, net, fit, augment)?.1
        }
    };
    let summary = Summary {
        distilled,
        labels_only,
    };
    // Before the stage counts as done: a stop in between needs them no more, and leaves none.
    answers::remove(ctx)?;
    ctx.dir.finish(Stage::Distill, &summary)?;
    Ok(summary)
}

/// Trains the net for the chip.
fn distill(
    ctx: &Context<'_>,
    net_config: &EfficientNetConfig,
    pool: Images,
) -> Result<Trained, StageError> {
    let config = &ctx.config.distill;
    let answers = match config.views {
        0 => Answers::Asked(ctx.ensemble(Stage::Student, "student")?),
        _ => Answers::Kept(answers::kept(ctx, &pool)?),
    };
    let start = ctx.start(Stage::Distill, DISTILLED, config.fit.steps)?;
    let mut objective = Distillation::new(
        pool,
        (answers, config.temperature),
        (config.augment, ctx.normalization),
        config.fit.batch,
        (ctx.seed("distill"), start.step()),
        &ctx.device(),
    );
    let (small, student_work) = work_per_image(ctx.config, ctx.data);
    let (_, distilled) = ctx.train(
        Stage::Distill,
        start,
        (net_config, None),
        &config.fit,
        small + student_work,
        &mut objective,
    )?;
    Ok(distilled)
}

#[cfg(test)]
mod tests {
    use super::answers::NAME;
    use super::testing::run_with;
    use super::*;

    /// What the stage has made of its two nets.
    fn nets(ctx: &Context<'_>) -> [Vec<u8>; 2] {
        [DISTILLED, LABELS_ONLY].map(|name| {
            let path = ctx.dir.file(Stage::Distill, &format!("{name}.safetensors"));
            std::fs::read(path.unwrap()).unwrap()
        })
    }

    #[test]
    fn a_stop_after_the_answers_comes_to_the_same_nets() {
        let whole = run_with(3, |ctx| {
            run(ctx).unwrap();
            nets(ctx)
        });
        run_with(3, |ctx| {
            answers::kept(ctx, &ctx.data.pool()).unwrap();
            let file = ctx.dir.file(Stage::Distill, NAME).unwrap();
            assert!(file.is_file());
            // Nothing can answer again.
            ctx.dir.remove(&Stage::Student.folder()).unwrap();
            run(ctx).unwrap();
            assert!(nets(ctx) == whole);
            assert!(!file.exists() && ctx.dir.is_done(Stage::Distill));
        });
    }

    #[test]
    fn a_net_that_was_done_is_not_done_again_and_asks_no_student() {
        for views in [0, 3] {
            run_with(views, |ctx| {
                let whole = run(ctx).unwrap();
                let before = nets(ctx);
                for name in ["done.json", "labels-only.safetensors"] {
                    let path = format!("{}/{name}", Stage::Distill.folder());
                    ctx.dir.remove(&path).unwrap();
                }
                ctx.dir.remove(&Stage::Student.folder()).unwrap();
                let again = run(ctx).unwrap();
                // Its time, too, is the first training's.
                assert_eq!(again.distilled, whole.distilled);
                assert!(nets(ctx) == before);
                ctx.dir
                    .remove(&format!("{}/done.json", Stage::Distill.folder()))
                    .unwrap();
                assert_eq!(run(ctx).unwrap(), again);
            });
        }
    }
}
