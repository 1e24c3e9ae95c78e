//! What a run was asked to do and with which images: `run.toml` and `provenance.json` of its
//! directory, and what the stages that are done have recorded of them.

use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;

use crate::config::RunConfig;
use crate::data::Dataset;
use crate::run::dir::{RunDir, SETTINGS};
use crate::run::error::RunDirError;
use crate::run::record::Record;
use crate::run::stage::{Stage, Which};
use crate::util::files::{read_file, read_text};

/// SHA-256 of the images that the run in `root` has had, as its `provenance.json` says.
///
/// # Errors
/// A missing or damaged file.
pub(crate) fn data_sha256(root: &Path) -> anyhow::Result<String> {
    let path = root.join(SETTINGS[1]);
    let damaged = || format!("{}: missing or damaged", path.display());
    let text = read_file(&path).with_context(damaged)?;
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
///
/// # Errors
/// A directory of other settings or images.
pub(crate) fn keep(
    dir: &RunDir,
    config: &RunConfig,
    data: &Dataset,
    fresh: Option<Which>,
    tell: &dyn Fn(&str),
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
    dir.set_settings(settings_name, &settings);
    dir.set_settings(provenance_name, &provenance);
    mended(
        dir,
        (provenance_name, &provenance),
        dir.keep(provenance_name, &provenance, "run"),
        tell,
    )?;
    let kept = dir.keep_settings(settings_name, (&settings, config), "run");
    let Err(mut error) = mended(dir, (settings_name, &settings), kept, tell) else {
        return Ok(());
    };
    let path = dir.root().join(settings_name);
    let first = read_text(&path)
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

/// Where a settings file is refused although the last stage that is done was made with what is
/// asked for, the file is what has changed: it is written again.
fn mended(
    dir: &RunDir,
    (name, text): (&str, &str),
    outcome: Result<(), RunDirError>,
    tell: &dyn Fn(&str),
) -> Result<(), RunDirError> {
    let last = dir.recorded_settings(name).pop();
    if outcome.is_ok() || last.as_deref() != Some(text) {
        return outcome;
    }
    let path = dir.root().join(name);
    tell(&format!(
        "{}: not what finished stages were made with; it is written again",
        path.display()
    ));
    dir.write(&path, text.as_bytes())
}

/// Whether `stage`, which is done, was made with `config`: the files of settings may have changed
/// since.
///
/// # Errors
/// Other settings, with the place of those that it was made with.
pub(crate) fn same(
    dir: &RunDir,
    config: &RunConfig,
    stage: Stage,
    record: &Record,
) -> anyhow::Result<()> {
    let Some(other) = other(record, config, stage) else {
        return Ok(());
    };
    let path = dir.root().join(SETTINGS[0]);
    anyhow::bail!(
        "{}: not what stage {} was made with\n  why:   it was changed or damaged since\n  do:    restore it, as {} has it under proof.settings; or repeat from there on: {}",
        path.display(),
        stage.word(),
        crate::run::artifacts::file(dir.root(), stage, "done.json").display(),
        crate::run::repeat::repeat(other, dir.root())
    )
}

/// The first stage up to `stage` that `config` has other settings for than those that the record
/// says it was made with.
pub(crate) fn other(record: &Record, config: &RunConfig, stage: Stage) -> Option<Stage> {
    let old = recorded(record)?;
    let all = old.seed == config.seed && old.data == config.data && old.images == config.images;
    let first = if all {
        first_other(&old, config)
    } else {
        Some(Stage::Teacher)
    };
    first.filter(|first| *first <= stage)
}

/// The configuration that a stage was made with, where its record says so.
pub(crate) fn recorded(record: &Record) -> Option<RunConfig> {
    let text = record.proof.as_ref()?.settings.get(SETTINGS[0])?;
    // A newer version's may have keys that are unknown here.
    toml::from_str(text).ok()
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
