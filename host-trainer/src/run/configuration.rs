//! The configuration of a run: a file and what was said beside it.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::config::{RunConfig, check};
use crate::nn::device::TrainingDevice;
use crate::util::files::read_text;

/// What a user may say of a run beside its configuration file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    /// Where stages leave their results; none for the configuration's name under `runs`.
    pub run_dir: Option<PathBuf>,
    /// The images, as run.toml names them.
    pub data: Option<String>,
    /// Keys of the configuration and their values: `teacher.fit.steps=500`.
    pub set: Vec<String>,
    /// Fixes every random choice.
    pub seed: Option<u64>,
    /// Where nets are trained and asked.
    pub device: TrainingDevice,
    /// Whether what earlier runs left is deleted.
    pub fresh: bool,
    /// Whether nothing is said on stderr.
    pub quiet: bool,
}

/// File and options together. A folder stands for the run.toml in it.
///
/// # Errors
/// A file that can't be read, or all problems of the settings.
pub(crate) fn configuration(file: Option<&Path>, options: &Options) -> anyhow::Result<RunConfig> {
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
            let text = read_text(path).with_context(|| {
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
pub(crate) fn default_root(file: Option<&Path>) -> PathBuf {
    let name = file.and_then(name_of);
    Path::new("runs").join(name.unwrap_or_else(|| "quickstart".into()))
}

/// What the configuration in `file` is called: NAME of NAME.toml, NAME/run.toml and NAME/.
pub(crate) fn name_of(file: &Path) -> Option<String> {
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
