//! Finding and reading a packed student, and images as it wants them.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use pupil_core::model::Model;
use toml::{Table, Value};

use crate::cli::{StudentOptions, call, repeat};
use crate::data::fit::Fit;
use crate::run_dir::Stage;

/// A student's bytes and how its run treated images.
pub struct Student {
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
    /// The student that the options name, else the one under `runs/` that was packed last.
    ///
    /// # Errors
    /// None there, or a damaged one.
    pub fn find(options: &StudentOptions) -> anyhow::Result<Self> {
        let path = match (&options.model, &options.run_dir) {
            (Some(model), _) => model.clone(),
            (None, Some(dir)) => in_run(dir),
            (None, None) => newest(Path::new("runs"))?,
        };
        let bytes = std::fs::read(&path).with_context(|| {
            format!(
                "{}: can't be read\n  do:    train one ({}), or give --model FILE or --run-dir DIR",
                path.display(),
                call("run")
            )
        })?;
        let run = path.parent().and_then(Path::parent).map(Path::to_owned);
        let run = run.filter(|r| in_run(r) == path && r.join("run.toml").is_file());
        if let Err(e) = Model::parse(&bytes) {
            let advice = match &run {
                Some(run) => format!("make it anew: {}", repeat(Stage::Pack, run)),
                None => "copy it again, or give another with --model FILE".into(),
            };
            bail!("{}: {e}\n  do:    {advice}", path.display());
        }
        let fit = run.as_deref().map_or(Fit::Crop, fit_of);
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
    pub fn model(&self) -> anyhow::Result<Model<'_>> {
        Model::parse(&self.bytes).map_err(|e| anyhow!("{}: {e}", self.path.display()))
    }

    /// Height, width, channels of its input.
    ///
    /// # Errors
    /// As [`Self::model`].
    pub fn dims(&self) -> anyhow::Result<[usize; 3]> {
        let shape = self.model()?.input().shape;
        Ok([shape.h, shape.w, shape.c])
    }
}

fn in_run(dir: &Path) -> PathBuf {
    dir.join(Stage::Pack.folder()).join("student.pupil")
}

fn newest(runs: &Path) -> anyhow::Result<PathBuf> {
    let dirs = std::fs::read_dir(runs).into_iter().flatten().flatten();
    let found = dirs.filter_map(|d| {
        let path = in_run(&d.path());
        let changed = path.metadata().ok()?.modified().ok()?;
        Some((changed, path))
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
    let text = std::fs::read_to_string(run.join("run.toml")).unwrap_or_default();
    let fit = text
        .parse::<Table>()
        .ok()
        .and_then(|t| t.get("images")?.get("fit").cloned());
    match fit {
        Some(Value::String(word)) if word == Fit::Letterbox.word() => Fit::Letterbox,
        _ => Fit::Crop,
    }
}
