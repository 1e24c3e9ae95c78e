//! A run from its options: configuration, data, run directory, stages, result.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::Serialize;

use crate::cli::RunOptions;
use crate::config::{DataSource, RunConfig, check};
use crate::data::assemble::Cut;
use crate::data::batch::Normalization;
use crate::data::cache::Cache;
use crate::data::open::{self, Request};
use crate::data::report::DataReport;
use crate::data::{Dataset, fashion_mnist};
use crate::device::TrainingDevice;
use crate::progress::{Progress, minutes};
use crate::report;
use crate::run_dir::{RunDir, RunDirError, SETTINGS, Stage};
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
            eprintln!("{line}");
        }
    };
    let (data, images) = load_data(&config, &tell)?;
    let dir = RunDir::open(&root, options.fresh && which == Which::All)?;
    keep_settings(&dir, &config, &data, options.fresh.then_some(which))?;
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
    let start = std::time::Instant::now();
    let outcome = run_stages(&ctx, which);
    progress.clear();
    outcome?;
    if !dir.is_done(Stage::Pack) {
        return Ok(None);
    }
    let summary: pack::Summary = dir.summary(Stage::Pack)?;
    let page = report::html::page(&dir, &config, &data, &summary)?;
    dir.write(&root.join("report.html"), page.as_bytes())?;
    progress.say(&format!("done in {}", minutes(start.elapsed())));
    Ok(Some((root, config, summary)))
}

fn run_stages(ctx: &Context<'_>, which: Which) -> anyhow::Result<()> {
    for stage in Stage::ALL {
        if ctx.dir.is_done(stage) {
            ctx.progress.skip(work(stage, ctx.config, ctx.data));
            if which == Which::All || which == Which::Only(stage) {
                ctx.progress.stage(stage, "done before");
            }
            continue;
        }
        match which {
            Which::Only(wanted) if stage < wanted => {
                let order = StageError::Order {
                    wanted: wanted.word(),
                    missing: stage.word(),
                };
                return Err(order.into());
            }
            Which::Only(wanted) if stage > wanted => break,
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
/// Whatever keeps the set from being read, with what to do.
pub fn load_data(
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

/// SHA-256 of the images that the run in `root` has had, as its `provenance.json` says.
///
/// # Errors
/// A missing or damaged file.
pub fn data_sha256(root: &Path) -> anyhow::Result<String> {
    let path = root.join(SETTINGS[1]);
    let damaged = || format!("{}: missing or damaged", path.display());
    let text = std::fs::read(&path).with_context(damaged)?;
    let all: serde_json::Value = serde_json::from_slice(&text).with_context(damaged)?;
    let sha = all["data_sha256"].as_str().with_context(damaged)?;
    Ok(sha.to_owned())
}

/// What `provenance.json` says.
#[derive(Serialize)]
struct Provenance<'a> {
    version: &'a str,
    seed: u64,
    source: &'a str,
    data_sha256: String,
    labeled: usize,
    validation: usize,
    unlabeled: usize,
    test: usize,
}

/// Writes settings and provenance into a new directory; an old one must have been made with
/// them. With `fresh`, the stages that start over may have other settings.
fn keep_settings(
    dir: &RunDir,
    config: &RunConfig,
    data: &Dataset,
    fresh: Option<Which>,
) -> anyhow::Result<()> {
    let settings = toml::to_string_pretty(config).context("run.toml can't be written")?;
    let provenance = serde_json::to_string_pretty(&Provenance {
        version: env!("CARGO_PKG_VERSION"),
        seed: config.seed,
        source: &data.source,
        data_sha256: data.hash(),
        labeled: data.labeled.labels.len(),
        validation: data.validation.labels.len(),
        unlabeled: data.unlabeled.len(),
        test: data.test.labels.len(),
    })? + "\n";
    let [settings_name, provenance_name] = SETTINGS;
    if dir.is_new() {
        // An earlier run ended before it made anything.
        SETTINGS.iter().try_for_each(|name| dir.remove(name))?;
    }
    dir.keep(provenance_name, &provenance, "run")?;
    let Err(mut error) = dir.keep_settings(settings_name, (&settings, config), "run") else {
        return Ok(());
    };
    let path = dir.root().join(settings_name);
    let first = std::fs::read_to_string(&path)
        .ok()
        .and_then(|old| first_other(&toml::from_str(&old).ok()?, config));
    match (first, fresh) {
        (Some(first), Some(Which::Only(stage))) if stage <= first => {
            dir.forget_from(stage)?;
            dir.write(&path, settings.as_bytes())?;
            Ok(())
        }
        (Some(first), _) => {
            if let RunDirError::OtherSettings { advice, .. } = &mut error {
                *advice = format!(
                    "repeat from there on with `{} --fresh` and these settings, then run; or start over with --fresh, or choose another directory with --run-dir DIR",
                    first.word()
                );
            }
            Err(error.into())
        }
        (None, _) => Err(error.into()),
    }
}

/// The first stage that two configurations do not have in common; none where they differ in what
/// all stages depend on.
fn first_other(old: &RunConfig, new: &RunConfig) -> Option<Stage> {
    if old.seed != new.seed || old.data != new.data || old.images != new.images {
        return None;
    }
    let same = [
        (
            Stage::Teacher,
            old.teacher == new.teacher
                && old.ensemble == new.ensemble
                && (old.pretext, &old.init, &old.transfer)
                    == (new.pretext, &new.init, &new.transfer),
        ),
        (Stage::PseudoLabels, old.pseudo_labels == new.pseudo_labels),
        (
            Stage::Student,
            old.student == new.student && old.method == new.method && old.methods == new.methods,
        ),
        (Stage::Distill, old.distill == new.distill),
        (Stage::Quantize, old.quantize == new.quantize),
        (Stage::Pack, old.pack == new.pack),
    ];
    same.iter().find(|(_, same)| !same).map(|(stage, _)| *stage)
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

    #[test]
    fn the_first_stage_with_other_settings_is_found() {
        let old = RunConfig::default();
        let mut new = old.clone();
        assert_eq!(first_other(&old, &new), None);
        new.pack.frame_by_rows = true;
        assert_eq!(first_other(&old, &new), Some(Stage::Pack));
        new.quantize.clip = 0.01;
        assert_eq!(first_other(&old, &new), Some(Stage::Quantize));
        new.student.fit.steps += 1;
        assert_eq!(first_other(&old, &new), Some(Stage::Student));
        new.seed += 1;
        assert_eq!(first_other(&old, &new), None);
    }
}
