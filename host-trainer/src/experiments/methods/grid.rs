//! All trainings of a comparison of methods, each done once.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use serde::Serialize;

use super::cell::{Cell, Outcome, train};
use super::labels::with_labels;
use super::learner::Learner;
use super::settings::GridSettings;
use super::unfinished::Unfinished;
use crate::data::Dataset;
use crate::experiments::kept;
use crate::run::RunDir;
use crate::run::progress::Progress;
use crate::train::FitError;
use crate::util::threads::side_by_side;

/// Rows, numbers of labels, seeds.
#[derive(Clone, Debug)]
pub(crate) struct Grid<'a> {
    /// Rows of the table.
    pub learners: &'a [Learner],
    /// Labeled images.
    pub labels: &'a [usize],
    /// Trainings of each.
    pub seeds: usize,
    /// Trainings at a time.
    pub jobs: usize,
}

/// A finished comparison.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Row {
    /// The way of learning.
    pub learner: Learner,
    /// Labeled images.
    pub labels: usize,
    /// SHA-256 of their indices.
    pub labels_sha256: String,
    /// One a seed.
    pub outcomes: Vec<Outcome>,
}

const SETTINGS: &str = "compare.toml";

/// Trains what is missing of `grid` in `dir`.
///
/// # Errors
/// A directory of other settings, an unwritable or damaged file, a training that diverges.
pub(crate) fn run(
    dir: &RunDir,
    fresh: bool,
    settings: &GridSettings,
    data: &Dataset,
    grid: &Grid<'_>,
    quiet: bool,
) -> anyhow::Result<Vec<Row>> {
    let parts = grid
        .labels
        .iter()
        .map(|count| with_labels(data, *count).map_err(anyhow::Error::msg))
        .collect::<Result<Vec<_>, _>>()?;
    for learner in grid.learners {
        if let Learner::Pretext(task) = learner {
            task.fits(data.dims()).map_err(|why| {
                anyhow!(
                    "{}\n  do:    leave {} out of --methods",
                    told(&why),
                    task.word()
                )
            })?;
        }
    }
    // Only now that nothing else can be wrong.
    if fresh {
        for count in entries(dir.root()) {
            dir.remove(&count)?;
        }
        dir.remove(SETTINGS)?;
    }
    let text = toml::to_string_pretty(settings).context("compare.toml can't be written")?;
    dir.keep_settings(SETTINGS, (&text, settings), "comparison")?;
    let work: f64 = grid.learners.iter().map(|l| work(*l, settings, data)).sum();
    let progress = Progress::new(work * (grid.labels.len() * grid.seeds) as f64, quiet);
    let mut cells = Vec::new();
    for (place, count) in grid.labels.iter().enumerate() {
        let folder = folder(dir, *count);
        kept::folder(&folder)?;
        dir.write_json(&folder.join("labels.json"), &parts[place].1)?;
        for learner in grid.learners {
            for number in 0..grid.seeds {
                let cell = Cell {
                    learner: *learner,
                    labels: *count,
                    number,
                };
                cells.push((place, cell));
            }
        }
    }
    let outcomes = side_by_side(cells.len(), grid.jobs, |index| {
        let (place, cell) = cells[index];
        once(dir, cell, settings, &parts[place].0, &progress)
    });
    let mut outcomes = outcomes.inspect_err(|_| progress.clear())?.into_iter();
    let mut rows = Vec::new();
    for ((_, _, sha), count) in parts.iter().zip(grid.labels) {
        for learner in grid.learners {
            rows.push(Row {
                learner: *learner,
                labels: *count,
                labels_sha256: sha.clone(),
                outcomes: outcomes.by_ref().take(grid.seeds).collect(),
            });
        }
    }
    progress.clear();
    Ok(rows)
}

/// Where the outcomes for `count` labeled images are kept.
fn folder(dir: &RunDir, count: usize) -> PathBuf {
    dir.root().join(format!("labels-{count}"))
}

/// What went wrong, without the advice to somebody who runs stages.
fn told(text: &str) -> &str {
    text.split("\n  do:").next().unwrap_or(text)
}

/// Which training failed, and why; a loss that is no number has the cure of a comparison, which is
/// another than a stage's.
fn explained(error: &anyhow::Error, labels: usize, name: &str) -> anyhow::Error {
    let why = format!("{error:#}");
    match error.downcast_ref() {
        Some(FitError::NotFinite { .. }) => anyhow!(
            "{labels} labels, {name}: {}\n  do:    lower student.fit.learning_rate with --set, and take another directory with --run-dir DIR",
            told(&why)
        ),
        _ => anyhow!("{labels} labels, {name}: {why}"),
    }
}

/// Folders that a comparison has made.
fn entries(root: &Path) -> Vec<String> {
    let found = std::fs::read_dir(root).into_iter().flatten().flatten();
    found
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with("labels-"))
        .collect()
}

/// Work of one training.
fn work(learner: Learner, settings: &GridSettings, data: &Dataset) -> f64 {
    let net = settings.net.resolve(data.dims(), data.classes.len());
    let batch = settings.fit.batch as f64;
    let labeled = (settings.fit.batch / (1 + settings.unlabeled_ratio)).max(1) as f64;
    let method = learner.method();
    let step = method.work(net.macs() as f64, batch, labeled, &settings.methods);
    step * settings.fit.steps as f64
}

/// One training, or its outcome if an earlier run has finished it.
fn once(
    dir: &RunDir,
    cell: Cell,
    settings: &GridSettings,
    data: &Dataset,
    progress: &Progress,
) -> anyhow::Result<Outcome> {
    let name = format!("{}-{}", cell.learner.word(), cell.number);
    let file = folder(dir, cell.labels).join(format!("{name}.json"));
    let all = work(cell.learner, settings, data);
    let folder = folder(dir, cell.labels);
    let unfinished = Unfinished {
        folder: &folder,
        name: &name,
        key: &dir.identity(&[SETTINGS])?,
        say: &|line| progress.say(&format!("  {:>6} labels{line}", cell.labels)),
    };
    if let Some(outcome) = kept::found(dir, &file)? {
        // A run that was stopped just after it had kept the outcome.
        unfinished.ended();
        progress.skip(all);
        return Ok(outcome);
    }
    let step_work = all / settings.fit.steps.max(1) as f64;
    let tick = &mut || progress.advance(step_work);
    let trained = train(cell, settings, data, &unfinished, tick);
    let (outcome, packed) = trained.map_err(|e| explained(&e, cell.labels, &name))?;
    if let Some(packed) = packed {
        dir.write(&file.with_extension("pupil"), &packed)?;
    }
    let outcome: Outcome = kept::keep(dir, &file, &outcome)?;
    unfinished.ended();
    let int8 = outcome
        .int8
        .map_or(String::new(), |a| format!("  int8 {:.2} %", 100.0 * a));
    progress.say(&format!(
        "  {:>6} labels  {:<24} seed {}  {:.2} %{int8}  {:.0} s",
        cell.labels,
        cell.learner.word(),
        cell.number,
        100.0 * outcome.accuracy,
        outcome.seconds
    ));
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_diverged_training_is_told_to_learn_slower() {
        let full = FitError::Keep {
            path: "x".into(),
            source: std::io::ErrorKind::StorageFull.into(),
        };
        let text = explained(&full.into(), 100, "uda-0").to_string();
        assert!(text.starts_with("100 labels, uda-0: "), "{text}");
        assert!(!text.contains("learning_rate"), "{text}");
    }
}
