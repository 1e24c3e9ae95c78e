//! `pupil data`: what a set of images is like, before anything is trained on it.

use std::path::Path;

use crate::config::{DataSource, RunConfig};
use crate::data::dataset::Labeled;
use crate::data::report::{ClassCount, DataReport};
use crate::run::configuration::configuration;
use crate::run::{Options, load_data};
use crate::util::console;

/// Names shown of each kind of finding; `--json` shows all.
const SHOWN: usize = 10;

/// Describes the set at `path`, which may also be "bundled", or a project's run.toml or folder.
///
/// # Errors
/// A path without images.
pub(crate) fn describe(
    path: &Path,
    unlabeled: Option<&Path>,
    as_json: bool,
    quiet: bool,
) -> anyhow::Result<String> {
    let project = path.extension().is_some_and(|e| e == "toml") || path.join("run.toml").is_file();
    let mut config = if project {
        configuration(Some(path), &Options::default())?
    } else {
        let word = path.display().to_string();
        RunConfig {
            data: DataSource::try_from(word).map_err(anyhow::Error::msg)?,
            ..RunConfig::default()
        }
    };
    if let Some(path) = unlabeled {
        config.images.unlabeled = path.display().to_string();
    }
    let report = look(&config, quiet)?;
    Ok(if as_json {
        serde_json::to_string(&report)? + "\n"
    } else {
        report.text(SHOWN)
    })
}

/// Opens a configuration's set for its report; Fashion-MNIST's own reader has none, so that it
/// is made from the parts.
///
/// # Errors
/// A path without images.
pub(crate) fn look(config: &RunConfig, quiet: bool) -> anyhow::Result<DataReport> {
    let tell = |line: &str| {
        if !quiet {
            console::note(line);
        }
    };
    let (data, report) = load_data(config, &tell)?;
    Ok(report.unwrap_or_else(|| {
        let of = |set: &Labeled, class: usize| {
            set.labels
                .iter()
                .filter(|l| usize::from(**l) == class)
                .count()
        };
        let classes = data.classes.iter().enumerate().map(|(i, name)| ClassCount {
            name: name.clone(),
            train: of(&data.labeled, i),
            validation: of(&data.validation, i),
            test: of(&data.test, i),
        });
        let [h, w, c] = data.dims();
        let images = [&data.labeled, &data.validation, &data.test].map(|s| s.labels.len());
        let images = images.iter().sum::<usize>() + data.unlabeled.len();
        let sizes = [w, h];
        DataReport {
            source: data.source.clone(),
            shape: [h, w, c],
            shape_why: "the set's own size".into(),
            classes: classes.collect(),
            unlabeled: data.unlabeled.len(),
            sizes: crate::data::report::Sizes {
                smallest: sizes,
                median: sizes,
                largest: sizes,
            },
            grey: images,
            images,
            ..DataReport::default()
        }
    }))
}
