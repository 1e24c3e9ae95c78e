//! Stage 3: a net of at least the teacher's size learns from labels and unlabeled images.
//!
//! By the method that the configuration names, from the teacher's weights on or anew; further rounds
//! are Noisy Student's step 4 (arXiv 1911.04252): the student labels the images, and a new one learns.

use super::context::{Context, StageError, Trained};
use super::members::{member, nets};
use super::pseudo_labels;
use crate::config::RunConfig;
use crate::data::Dataset;
use crate::eval::float::probabilities;
use crate::methods::selection::PseudoLabels;
use crate::methods::{Method, Setup};
use crate::net::{EfficientNet, EfficientNetConfig};
use crate::nn::init::Init;
use crate::run::stage::Stage;
use crate::train::FitConfig;
use crate::util::numbers::thousands;
use crate::util::random::stream;

/// Work of the whole stage.
pub(crate) fn work(config: &RunConfig, data: &Dataset) -> f64 {
    let net = config.student.net.resolve(data.dims(), data.classes.len());
    (1..=config.student.rounds)
        .map(|round| config.ensemble as f64 * round_work(config, &net, round))
        .sum()
}

/// Work of one net in round `round`, counted from 1.
fn round_work(config: &RunConfig, net: &EfficientNetConfig, round: usize) -> f64 {
    let fit = fit_of(config, round);
    step_work(config, net, &fit, round) * fit.steps as f64
}

/// How round `round`, counted from 1, learns.
fn method_of(config: &RunConfig, round: usize) -> Method {
    if round == 1 {
        config.method
    } else {
        Method::NoisyStudent
    }
}

/// The training of round `round`.
fn fit_of(config: &RunConfig, round: usize) -> FitConfig {
    let fit = config.student.fit;
    match config.student.later_steps {
        steps if round > 1 && steps > 0 => FitConfig { steps, ..fit },
        _ => fit,
    }
}

fn step_work(config: &RunConfig, net: &EfficientNetConfig, fit: &FitConfig, round: usize) -> f64 {
    let batch = fit.batch as f64;
    let labeled = (fit.batch / (1 + config.student.unlabeled_ratio)).max(1) as f64;
    let macs = net.macs() as f64;
    method_of(config, round).work(macs, batch, labeled, &config.methods)
}

/// Trains the student.
///
/// # Errors
/// See [`StageError`].
pub(crate) fn run(ctx: &Context<'_>) -> Result<Trained, StageError> {
    let config = &ctx.config.student;
    let net_config = config.net.resolve(ctx.data.dims(), ctx.classes());
    let mut pseudo = pseudo_labels::load(ctx)?;
    if method_of(ctx.config, 1) == Method::NoisyStudent {
        // They may have been made for another method, which does without.
        pseudo_labels::teachable(ctx, &pseudo.probabilities)?;
    }
    let mut last = None;
    for round in 1..=config.rounds {
        let name = match round {
            _ if round == config.rounds => "student".to_owned(),
            _ => format!("student-round-{round}"),
        };
        announce(ctx, &net_config, round, &pseudo);
        let work = round_work(ctx.config, &net_config, round);
        let train =
            &|number, name: &str| train_one(ctx, &net_config, (round, number), name, &pseudo);
        let trained = ctx.train_members(Stage::Student, &name, work, train)?;
        if round < config.rounds {
            let nets = ctx.ensemble(Stage::Student, &name)?;
            let all = probabilities(&nets, &ctx.data.unlabeled, &ctx.normalization);
            pseudo = pseudo_labels::labels(ctx, all)?.0;
        }
        last = Some(trained);
    }
    let trained = last.expect("there is a round");
    ctx.dir.finish(Stage::Student, &trained)?;
    Ok(trained)
}

fn announce(ctx: &Context<'_>, net: &EfficientNetConfig, round: usize, pseudo: &PseudoLabels) {
    let config = &ctx.config.student;
    let what = match method_of(ctx.config, round) {
        Method::NoisyStudent => format!(
            "on labels and {} pseudo-labels, with noise",
            thousands(pseudo.indices.len())
        ),
        Method::Supervised => "on labels alone".to_owned(),
        method => format!(
            "on labels and {} unlabeled images by {}",
            thousands(ctx.data.unlabeled.len()),
            method.word()
        ),
    };
    let nets = nets(ctx.config, &config.net, net.parameters());
    let rounds = match config.rounds {
        1 => String::new(),
        rounds => format!("round {round} of {rounds}: "),
    };
    ctx.progress
        .stage(Stage::Student, &format!("{rounds}{nets}, {what}"));
}

/// Trains member `number` of the round.
fn train_one(
    ctx: &Context<'_>,
    net_config: &EfficientNetConfig,
    (round, number): (usize, usize),
    name: &str,
    pseudo: &PseudoLabels,
) -> Result<Trained, StageError> {
    let (config, fit) = (&ctx.config.student, &fit_of(ctx.config, round));
    let seed = ctx.seed(name);
    let start = ctx.start(Stage::Student, name, fit.steps)?;
    let setup = Setup {
        data: ctx.data,
        normalization: ctx.normalization,
        fit,
        unlabeled_ratio: config.unlabeled_ratio,
        strong: config.augment,
        weak: config.weak,
        seed,
        first: start.step(),
        device: ctx.device(),
    };
    let warm = config.warm_start && round == 1;
    let teacher = member("teacher", number);
    let method = method_of(ctx.config, round);
    let mut objective = method.objective(&setup, &ctx.config.methods, pseudo, || {
        // With a warm start both nets go on from the weights of stage 1.
        if warm {
            return Ok(ctx.load(Stage::Teacher, &teacher)?.1);
        }
        Ok::<EfficientNet, StageError>(net_config.init(&mut Init {
            device: &setup.device,
            rng: &mut stream(seed, "the teacher's initial weights", 0),
        }))
    })?;
    // A first round may go on from the teacher's weights; later ones start anew, as the paper's.
    let from = if warm {
        Some(ctx.load(Stage::Teacher, &teacher)?.1)
    } else {
        None
    };
    let work = step_work(ctx.config, net_config, fit, round);
    let (_, trained) = ctx.train(
        Stage::Student,
        start,
        (net_config, from),
        fit,
        work / fit.batch as f64,
        objective.as_mut(),
    )?;
    Ok(trained)
}
