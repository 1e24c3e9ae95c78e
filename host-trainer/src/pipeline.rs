//! A run from its options: configuration, data, run directory, stages, result.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use pupil_core::model::check_label;

use crate::artifacts::State;
use crate::cli::RunOptions;
use crate::config::{DataSource, RunConfig, check};
use crate::console;
use crate::data::assemble::Cut;
use crate::data::batch::Normalization;
use crate::data::cache::Cache;
use crate::data::open::{self, Request};
use crate::data::report::DataReport;
use crate::data::{Dataset, fashion_mnist};
use crate::device::TrainingDevice;
use crate::progress::{Progress, minutes};
use crate::record::Record;
use crate::report;
use crate::run_dir::{RunDir, RunDirError, Stage};
use crate::settings;
use crate::stages::{
    Context, StageError, distill, pack, pseudo_labels, quantize, student, teacher,
};

/// Which stages to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// All that are not done.
    All,
    /// This one; those before it must be done.
    Only(Stage),
}

/// Runs stages; returns the final result when the last one is done.
///
/// # Errors
/// Everything that a user can mend, in words.
pub fn run(
    config_file: Option<&Path>,
    options: &RunOptions,
    which: Which,
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
    if !matches!(dir.state(Stage::Pack), State::Done(_)) {
        return Ok(None);
    }
    let summary: pack::Summary = dir.summary(Stage::Pack)?;
    let page = report::html::page(&dir, &config, &data, &summary)?;
    dir.write(&root.join("report.html"), page.as_bytes())?;
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
        match ctx.dir.state(stage) {
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

/// File and options together. A folder stands for the run.toml in it.
///
/// # Errors
/// A file that can't be read, or all problems of the settings.
pub fn configuration(file: Option<&Path>, options: &RunOptions) -> anyhow::Result<RunConfig> {
    let path = file.map(|f| {
        if f.is_dir() {
            f.join("run.toml")
        } else {
            f.to_owned()
        }
    });
    let over = check::Overrides {
        sets: &options.set,
        data: options.data.as_deref(),
    };
    let mut config = match &path {
        None => check::load("the settings", "", None, &over)?,
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| {
                format!(
                    "{}: can't be read\n  do:    give the path of a run.toml",
                    path.display()
                )
            })?;
            let base = path.parent().filter(|p| !p.as_os_str().is_empty());
            check::load(&path.display().to_string(), &text, base, &over)?
        }
    };
    if let Some(seed) = options.seed {
        config.seed = seed;
    }
    Ok(config)
}

/// `runs/NAME` for NAME.toml, NAME/run.toml and NAME/.
fn default_root(file: Option<&Path>) -> PathBuf {
    let name = file.and_then(name_of);
    Path::new("runs").join(name.unwrap_or_else(|| "quickstart".into()))
}

/// What the configuration in `file` is called: NAME of NAME.toml, NAME/run.toml and NAME/.
pub fn name_of(file: &Path) -> Option<String> {
    let folder = if file.is_dir() {
        Some(file)
    } else {
        file.parent()
    };
    let folder = folder.and_then(|p| std::path::absolute(p).ok());
    let folder = folder.and_then(|p| Some(p.file_name()?.to_owned()));
    let name = match file.file_stem() {
        Some(stem) if stem != "run" && !file.is_dir() => Some(stem.to_owned()),
        stem => folder.or(stem.map(ToOwned::to_owned)),
    };
    name.map(|n| n.to_string_lossy().into_owned())
}

/// Opens the configured set; the user's own come with a report.
///
/// # Errors
/// Whatever keeps the set from being read or its classes from being packed, with what to do.
pub fn load_data(
    config: &RunConfig,
    tell: &dyn Fn(&str),
) -> anyhow::Result<(Dataset, Option<DataReport>)> {
    let (data, report) = open_data(config, tell)?;
    check_labels(&data)?;
    Ok((data, report))
}

/// Whether a packed student can hold the names of the classes: the packer's own check, before any
/// training.
fn check_labels(data: &Dataset) -> anyhow::Result<()> {
    for (class, name) in data.classes.iter().enumerate() {
        let Err(why) = check_label(name) else {
            continue;
        };
        let parts = [&data.labeled, &data.validation, &data.test];
        let image = parts.into_iter().find_map(|part| {
            let of_class = |label: &u8| usize::from(*label) == class;
            Some(part.images.name(part.labels.iter().position(of_class)?))
        });
        bail!(
            "{}: {why}\n  where: {}\n  why:   the packed student holds the names of its classes\n  do:    rename the class",
            data.source,
            image.unwrap_or_default()
        );
    }
    Ok(())
}

fn open_data(
    config: &RunConfig,
    tell: &dyn Fn(&str),
) -> anyhow::Result<(Dataset, Option<DataReport>)> {
    let installed = Path::new(fashion_mnist::DEBIAN_FOLDER);
    let loaded = match &config.data {
        DataSource::Bundled => fashion_mnist::bundled(),
        DataSource::Auto if installed.is_dir() => fashion_mnist::folder(installed),
        DataSource::Auto => fashion_mnist::bundled(),
        DataSource::Path(path) if fashion_mnist::is_in(path) => fashion_mnist::folder(path),
        DataSource::Path(path) => {
            let (data, report) = open::open(&request(config, path), &Cache::standard(), tell)?;
            return Ok((data, Some(report)));
        }
    };
    let data = loaded.map_err(|e| {
        anyhow::anyhow!(
            "{e}\n  do:    replace the file, or take `bundled` for the images that come with pupil"
        )
    })?;
    Ok((data, None))
}

/// How a configuration asks for the user's own images at `path`.
pub fn request(config: &RunConfig, path: &Path) -> Request {
    let images = &config.images;
    Request {
        labeled: path.to_owned(),
        unlabeled: (!images.unlabeled.is_empty()).then(|| PathBuf::from(&images.unlabeled)),
        wanted: [images.height, images.width, images.channels],
        fit: images.fit,
        cut: Cut {
            validation: images.validation,
            test: images.test,
            labels_per_class: images.labels_per_class,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_called_as_their_projects() {
        let root = |f: &str| default_root(Some(Path::new(f)));
        assert_eq!(default_root(None), Path::new("runs/quickstart"));
        assert_eq!(root("a/leaf.toml"), Path::new("runs/leaf"));
        assert_eq!(root("a/leaf/run.toml"), Path::new("runs/leaf"));
        let folder = tempfile::tempdir().unwrap();
        let leaf = folder.path().join("leaf");
        std::fs::create_dir(&leaf).unwrap();
        assert_eq!(default_root(Some(&leaf)), Path::new("runs/leaf"));
    }
}
