//! A run from its options: configuration, data, run directory, stages, result.

use std::path::{Path, PathBuf};

use anyhow::bail;

use super::artifacts::State;
use super::configuration::{Options, configuration, default_root};
use super::dir::RunDir;
use super::error::RunDirError;
use super::images::load_data;
use super::progress::{Progress, minutes};
use super::record::Record;
use super::settings;
use super::stage::{Stage, Which};
use super::stages::{
    Context, StageError, distill, pack, pseudo_labels, quantize, student, teacher,
};
use crate::config::RunConfig;
use crate::data::Dataset;
use crate::data::batch::Normalization;
use crate::nn::device::TrainingDevice;
use crate::util::console;

/// Makes the page that shows a finished run.
pub(crate) type Page =
    fn(&RunDir, &RunConfig, &Dataset, &pack::Summary) -> Result<String, RunDirError>;

/// Runs stages; returns the final result when the last one is done, and leaves `page` of it as
/// `report.html`.
///
/// # Errors
/// Everything that a user can mend, in words.
pub(crate) fn run(
    config_file: Option<&Path>,
    options: &Options,
    which: Which,
    page: Page,
) -> anyhow::Result<Option<(PathBuf, RunConfig, pack::Summary)>> {
    let config = configuration(config_file, options)?;
    let device = options.device.open()?;
    let root = options
        .run_dir
        .clone()
        .unwrap_or_else(|| default_root(config_file));
    let tell = |line: &str| {
        if !options.quiet {
            console::note(line);
        }
    };
    let (data, images) = load_data(&config, &tell)?;
    let dir = RunDir::open(&root, options.fresh && which == Which::All)?;
    let fresh = options.fresh.then_some(which);
    settings::keep(&dir, &config, &data, fresh, &tell)?;
    if let Some(images) = &images {
        dir.write_json(&root.join("data.json"), images)?;
    }
    if let (Which::Only(stage), true) = (which, options.fresh) {
        dir.forget_from(stage)?;
    }
    let progress = Progress::new(
        Stage::ALL.map(|s| work(s, &config, &data)).iter().sum(),
        options.quiet,
    );
    let normalization = Normalization::around(data.mean_pixel());
    let ctx = Context {
        config: &config,
        dir: &dir,
        data: &data,
        normalization,
        device,
        progress: &progress,
    };
    progress.say(&format!(
        "{}: {} labeled, {} validation, {} unlabeled, {} test images",
        data.source,
        data.labeled.labels.len(),
        data.validation.labels.len(),
        data.unlabeled.len(),
        data.test.labels.len()
    ));
    if options.device != TrainingDevice::Cpu {
        let word = options.device.word();
        progress.say(&format!(
            "trained by {word}: equal to the CPU's nets to rounding, not to the bit"
        ));
    }
    for finding in images.iter().flat_map(|i| i.findings(5)) {
        progress.say(&format!("  {finding}"));
    }
    if !dir.is_done(Stage::Pack) {
        pack::check(&config, &data, normalization)?;
    }
    let start = std::time::Instant::now();
    let outcome = run_stages(&ctx, which);
    progress.clear();
    outcome?;
    if !matches!(dir.state(Stage::Pack)?, State::Done(_)) {
        return Ok(None);
    }
    let summary: pack::Summary = dir.summary(Stage::Pack)?;
    let text = page(&dir, &config, &data, &summary)?;
    dir.write(&root.join("report.html"), text.as_bytes())?;
    progress.say(&format!("done in {}", minutes(start.elapsed())));
    Ok(Some((root, config, summary)))
}

fn run_stages(ctx: &Context<'_>, which: Which) -> anyhow::Result<()> {
    // Whether a stage was repeated: one after it that says nothing of its inputs is out of date.
    let mut repeated = false;
    for stage in Stage::ALL {
        if matches!(which, Which::Only(wanted) if stage > wanted) {
            break;
        }
        let only_before = matches!(which, Which::Only(wanted) if stage < wanted);
        match ctx.dir.state(stage)? {
            State::Done(record) if !(repeated && unsure_of_inputs(&record)) => {
                settings::same(ctx.dir, ctx.config, stage, &record)?;
                ctx.progress.skip(work(stage, ctx.config, ctx.data));
                if which == Which::All || which == Which::Only(stage) {
                    let old = record.proof.is_none();
                    let note = if old {
                        ", by a version without checksums"
                    } else {
                        ""
                    };
                    ctx.progress.stage(stage, &format!("done before{note}"));
                }
                continue;
            }
            State::Broken(broken) if only_before => return Err(RunDirError::from(broken).into()),
            State::Broken(broken) => {
                let (path, why) = (broken.path.display(), &broken.why);
                let word = stage.word();
                ctx.progress
                    .say(&format!("  {path}: {why}; {word} is repeated"));
                ctx.dir.reopen(stage, &broken)?;
                repeated = true;
            }
            State::Done(_) => ctx.dir.forget_from(stage)?,
            State::Open => {}
        }
        match which {
            Which::Only(wanted) if stage < wanted => {
                let order = StageError::Order {
                    wanted: wanted.word(),
                    missing: stage.word(),
                };
                return Err(order.into());
            }
            _ => run_stage(ctx, stage)?,
        }
        // What was made of images that could not be read is worth nothing.
        if let Some(failure) = ctx.data.failure() {
            ctx.dir.forget_from(stage)?;
            bail!("{}: {failure}", stage.word());
        }
    }
    Ok(())
}

/// Whether a record, of an older version or made after one, says nothing of its inputs.
fn unsure_of_inputs(record: &Record) -> bool {
    record
        .proof
        .as_ref()
        .is_none_or(|proof| proof.inputs.is_none())
}

fn run_stage(ctx: &Context<'_>, stage: Stage) -> Result<(), StageError> {
    match stage {
        Stage::Teacher => teacher::run(ctx).map(drop),
        Stage::PseudoLabels => pseudo_labels::run(ctx).map(drop),
        Stage::Student => student::run(ctx).map(drop),
        Stage::Distill => distill::run(ctx).map(drop),
        Stage::Quantize => quantize::run(ctx).map(drop),
        Stage::Pack => pack::run(ctx).map(drop),
    }
}

fn work(stage: Stage, config: &RunConfig, data: &Dataset) -> f64 {
    match stage {
        Stage::Teacher => teacher::work(config, data),
        Stage::PseudoLabels => pseudo_labels::work(config, data),
        Stage::Student => student::work(config, data),
        Stage::Distill => distill::work(config, data),
        Stage::Quantize => quantize::work(config, data),
        Stage::Pack => pack::work(config, data),
    }
}
