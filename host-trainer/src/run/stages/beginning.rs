//! What the net of stage 1 begins with: new weights, another run's trunk (`init`), or the trunk of
//! a pretext task (`pretext`).

use std::path::{Path, PathBuf};

use super::context::{Context, StageError, Training, training_work};
use crate::config::RunConfig;
use crate::data::{Dataset, Images};
use crate::methods::pretext::{JigsawNet, Pretext, PretextTask, transfer, transfer_numbers};
use crate::net::{EfficientNet, EfficientNetConfig, checkpoint};
use crate::nn::init::Init;
use crate::run::artifacts;
use crate::run::stage::Stage;
use crate::util::files::read_file;
use crate::util::random::stream;

/// The pretext net's name in the folder of stage 1.
const NAME: &str = "pretext";

/// The pretext task's net.
fn pretext_net(config: &RunConfig, dims: [usize; 3]) -> EfficientNetConfig {
    let task = config.pretext;
    config.teacher.net.resolve(task.dims(dims), task.classes())
}

/// Work of one row of its batches.
fn pretext_work(config: &RunConfig, dims: [usize; 3]) -> f64 {
    let tiles = match config.pretext {
        PretextTask::None => 0.0,
        PretextTask::Rotation => 1.0,
        PretextTask::Jigsaw => 4.0,
    };
    tiles * training_work(&pretext_net(config, dims))
}

/// Work of all that comes before stage 1's own training.
pub(crate) fn work(config: &RunConfig, data: &Dataset) -> f64 {
    let fit = &config.transfer.fit;
    match config.pretext {
        PretextTask::None => 0.0,
        _ => pretext_work(config, data.dims()) * fit.batch as f64 * fit.steps as f64,
    }
}

/// The net that stage 1 goes on with; none for new weights.
///
/// # Errors
/// Another run's net that does not fit, images that the task can't ask about, and
/// [`StageError`]'s.
pub(crate) fn net(
    ctx: &Context<'_>,
    config: &EfficientNetConfig,
) -> Result<Option<EfficientNet>, StageError> {
    let mut learned = None;
    if !ctx.config.init.is_empty() {
        let (path, other) = other(ctx, config, Path::new(&ctx.config.init))?;
        let path = path.display();
        ctx.progress
            .say(&format!("  begins with the trunk of {path}"));
        learned = Some(other);
    }
    if ctx.config.pretext != PretextTask::None {
        let dims = ctx.data.dims();
        ctx.config
            .pretext
            .fits(dims)
            .map_err(StageError::Beginning)?;
        let trunk = pretext(ctx, learned)?;
        let fresh = ctx.new_net(config, "teacher");
        learned = Some(transfer(&trunk, fresh).map_err(StageError::Beginning)?);
    }
    Ok(learned)
}

/// Nets of another run to begin with, the best first.
const LEARNED: [(Stage, &str); 3] = [
    (Stage::Student, "student.safetensors"),
    (Stage::Teacher, "teacher.safetensors"),
    (Stage::Distill, "distilled.safetensors"),
];

/// The trunk of another run with this run's classifier, and where it was found.
fn other(
    ctx: &Context<'_>,
    config: &EfficientNetConfig,
    init: &Path,
) -> Result<(PathBuf, EfficientNet), StageError> {
    let candidates = if init.is_dir() {
        let of_run = |(stage, name): (Stage, &'static str)| {
            let path = artifacts::file(init, stage, name);
            path.is_file().then_some((path, Some((stage, name))))
        };
        LEARNED.into_iter().filter_map(of_run).collect()
    } else {
        vec![(init.to_owned(), None)]
    };
    let mut reasons = Vec::new();
    for (path, of_run) in candidates {
        let numbers = || {
            let bytes = read_file(&path).map_err(|e| e.to_string())?;
            if let Some((stage, name)) = of_run {
                artifacts::verify(init, stage, name, &bytes).map_err(|e| e.to_string())?;
            }
            checkpoint::numbers(&bytes)
        };
        // Compared with this run's net entry by entry; no net is built of what a file says.
        let tried =
            numbers().and_then(|from| transfer_numbers(from, ctx.new_net(config, "teacher")));
        match tried {
            Ok(net) => return Ok((path, net)),
            Err(why) => reasons.push(format!("{}: {why}", path.display())),
        }
    }
    if reasons.is_empty() {
        reasons.push("no trained net lies there".into());
    }
    Err(StageError::Beginning(format!(
        "init = \"{}\" gives no net for this run\n  why:   {}\n  do:    give teacher.net the shape of that run's net and images the same number of channels, or leave init empty",
        init.display(),
        reasons.join("\n         ")
    )))
}

/// The trunk that a pretext task has trained on all images, from `learned` on if there is one.
fn pretext(ctx: &Context<'_>, learned: Option<EfficientNet>) -> Result<EfficientNet, StageError> {
    let all = work(ctx.config, ctx.data);
    if ctx.done_before(Stage::Teacher, NAME, all)?.is_some() {
        return Ok(ctx.load(Stage::Teacher, NAME)?.1);
    }
    let (task, fit) = (ctx.config.pretext, &ctx.config.transfer.fit);
    let config = pretext_net(ctx.config, ctx.data.dims());
    let images = ctx.data.pool();
    ctx.progress.say(&format!(
        "  pretext {}: {} answers about {} images",
        task.word(),
        task.classes(),
        images.len()
    ));
    let begin = |net: EfficientNet| match &learned {
        Some(from) => transfer(from, net).map_err(StageError::Beginning),
        None => Ok(net),
    };
    let start = ctx.start(Stage::Teacher, NAME, fit.steps)?;
    let mut objective = Pretext::new(
        task,
        images,
        (ctx.config.transfer.augment, ctx.normalization),
        fit,
        (ctx.seed(NAME), start.step()),
        &ctx.device(),
    );
    let watched: &Images = &ctx.data.validation.images;
    let work_per_image = pretext_work(ctx.config, ctx.data.dims());
    let (net, _) = if task == PretextTask::Jigsaw {
        let mut whole = JigsawNet::new(
            &config,
            &mut Init {
                device: &ctx.device(),
                rng: &mut stream(ctx.seed(NAME), "initial weights", 0),
            },
        );
        whole.net = begin(whole.net)?;
        let training = Training {
            net: whole,
            config: &config,
            fit,
            work_per_image,
            validate: &|net| task.accuracy(net, watched, &ctx.normalization),
            part: |whole: JigsawNet| whole.net,
        };
        ctx.train_part(Stage::Teacher, start, training, &mut objective)?
    } else {
        let training = Training {
            net: begin(ctx.new_net(&config, NAME))?,
            config: &config,
            fit,
            work_per_image,
            validate: &|net| task.accuracy(net, watched, &ctx.normalization),
            part: |net| net,
        };
        ctx.train_part(Stage::Teacher, start, training, &mut objective)?
    };
    Ok(net)
}
