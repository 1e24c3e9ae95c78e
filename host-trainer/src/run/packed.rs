//! Finding and reading a packed student, and images as it wants them.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use pupil_core::model::Model;
use toml::{Table, Value};

use super::artifacts;
use super::dir::SETTINGS;
use super::repeat::repeat;
use super::settings;
use super::stage::Stage;
use crate::config::RunConfig;
use crate::data::fit::Fit;
use crate::util::call::call;
use crate::util::files::{read_file, read_text};
use crate::util::limits;

/// A student's bytes and how its run treated images.
pub(crate) struct Student {
    /// The file.
    pub path: PathBuf,
    /// Its bytes, which [`Model::parse`] accepts.
    pub bytes: Vec<u8>,
    /// Its run's directory, if it lies in one.
    pub run: Option<PathBuf>,
    /// What was done with other aspect ratios.
    pub fit: Fit,
}

impl Student {
    /// The student in the file `model`, else that of the run in `run_dir`, else the one under
    /// `runs/` that was packed last.
    ///
    /// # Errors
    /// None there, or a damaged one.
    pub(crate) fn find(model: Option<&Path>, run_dir: Option<&Path>) -> anyhow::Result<Self> {
        let path = match (model, run_dir) {
            (Some(model), _) => model.to_owned(),
            (None, Some(dir)) => in_run(dir),
            (None, None) => newest(Path::new("runs"))?,
        };
        let run = run_of(&path);
        if let Some(run) = run.as_deref().filter(|_| !path.exists())
            && artifacts::record(run, Stage::Pack)?.is_some()
        {
            bail!(
                "{}: missing, although the run has packed it\n  do:    make it anew: {}",
                path.display(),
                repeat(Stage::Pack, run)
            );
        }
        let bytes = read_file(&path).with_context(|| {
            format!(
                "{}: can't be read\n  do:    train one ({}), or give --model FILE or --run-dir DIR",
                path.display(),
                call("run")
            )
        })?;
        let fit = verified(&path, &bytes)?.map_or(Fit::Crop, |run| run.fit);
        let advice = match &run {
            Some(run) => format!("make it anew: {}", repeat(Stage::Pack, run)),
            None => "copy it again, or give another with --model FILE".into(),
        };
        let parsed = Model::parse(&bytes);
        match parsed.map_err(|e| (e.to_string(), advice)) {
            Ok(model) => limits::check(&model).map_err(|why| {
                anyhow!(
                    "{}: {why}\n  do:    give a student that pupil has packed",
                    path.display()
                )
            })?,
            Err((why, advice)) => bail!("{}: {why}\n  do:    {advice}", path.display()),
        }
        Ok(Self {
            path,
            bytes,
            run,
            fit,
        })
    }

    /// The model over its bytes.
    ///
    /// # Errors
    /// Never after [`Self::find`].
    pub(crate) fn model(&self) -> anyhow::Result<Model<'_>> {
        Model::parse(&self.bytes).map_err(|e| anyhow!("{}: {e}", self.path.display()))
    }

    /// Height, width, channels of its input.
    ///
    /// # Errors
    /// As [`Self::model`].
    pub(crate) fn dims(&self) -> anyhow::Result<[usize; 3]> {
        let shape = self.model()?.input().shape;
        Ok([shape.h, shape.w, shape.c])
    }
}

fn in_run(dir: &Path) -> PathBuf {
    dir.join(Stage::Pack.folder()).join("student.pupil")
}

/// The run in whose directory the student at `path` lies.
fn run_of(path: &Path) -> Option<PathBuf> {
    let run = path.parent().and_then(Path::parent).map(Path::to_owned)?;
    let done = artifacts::file(&run, Stage::Pack, "done.json");
    let is_run = in_run(&run) == path && (run.join(SETTINGS[0]).is_file() || done.is_file());
    is_run.then_some(run)
}

/// What a run says of the student that lies in it.
pub(crate) struct OfRun {
    /// What the run did with other aspect ratios.
    pub fit: Fit,
}

/// Compares a packed student with what its run has recorded, and the run's settings with those
/// that the student was made with; none where it lies in no run.
///
/// # Errors
/// A student, record or settings file that is damaged.
pub(crate) fn verified(path: &Path, bytes: &[u8]) -> anyhow::Result<Option<OfRun>> {
    let Some(run) = run_of(path) else {
        return Ok(None);
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    artifacts::verify(&run, Stage::Pack, &name, bytes)?;
    let record = artifacts::record(&run, Stage::Pack)?;
    let Some(old) = record.as_ref().and_then(settings::recorded) else {
        return Ok(Some(OfRun { fit: fit_of(&run) }));
    };
    let file = run.join(SETTINGS[0]);
    // A file that is gone is made up for by the record.
    if let Ok(text) = read_text(&file)
        && toml::from_str::<RunConfig>(&text).ok().as_ref() != Some(&old)
    {
        bail!(
            "{}: not what the student beside it was made with\n  why:   it was changed or damaged since\n  do:    restore it, as {} has it under proof.settings",
            file.display(),
            artifacts::file(&run, Stage::Pack, "done.json").display()
        );
    }
    Ok(Some(OfRun {
        fit: old.images.fit,
    }))
}

/// The student of the run that was packed last, even where it is gone since.
fn newest(runs: &Path) -> anyhow::Result<PathBuf> {
    let dirs = std::fs::read_dir(runs).into_iter().flatten().flatten();
    let found = dirs.filter_map(|d| {
        let path = in_run(&d.path());
        let changed = |path: &Path| path.metadata().ok()?.modified().ok();
        let done = artifacts::file(&d.path(), Stage::Pack, "done.json");
        Some((changed(&path).max(changed(&done))?, path))
    });
    found.max().map(|(_, path)| path).ok_or_else(|| {
        anyhow!(
            "no packed student under {}\n  do:    train one ({}), or give --model FILE or --run-dir DIR",
            runs.display(),
            call("run")
        )
    })
}

/// The run's `images.fit`; other settings may be of another version and do not matter here.
fn fit_of(run: &Path) -> Fit {
    let text = read_text(&run.join("run.toml")).unwrap_or_default();
    let fit = text
        .parse::<Table>()
        .ok()
        .and_then(|t| t.get("images")?.get("fit").cloned());
    match fit {
        Some(Value::String(word)) if word == Fit::Letterbox.word() => Fit::Letterbox,
        _ => Fit::Crop,
    }
}
