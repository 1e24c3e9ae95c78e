//! `pupil compare --methods` and `--ablation`: from what was typed to what is printed.

use std::path::PathBuf;

use crate::cli::arguments::{Ablation, CompareOptions};
use crate::experiments::methods::grid::Grid;
use crate::experiments::methods::{GridSettings, Learner, run, table};
use crate::experiments::report;
use crate::run::configuration::configuration;
use crate::run::{Options, RunDir, load_data};
use crate::train::FitConfig;
use crate::util::console;

/// Stochastic depth of an ablation whose configuration has none to take away: the paper's (arXiv
/// 1911.04252, section 3.1).
const ABLATION_DROP_PATH: f32 = 0.2;

/// Trains and compares; returns the table or one JSON object, and leaves `compare.json`,
/// `compare.svg` and `compare.html` in the directory.
///
/// # Errors
/// Everything that a user can mend, in words.
pub(crate) fn compare(options: &CompareOptions) -> anyhow::Result<String> {
    let config = configuration(
        options.config.as_deref(),
        &Options {
            data: options.data.clone(),
            set: options.set.clone(),
            ..Options::default()
        },
    )?;
    let (data, _) = load_data(&config, &|line| {
        if !options.quiet {
            console::note(line);
        }
    })?;
    let what = match options.ablation {
        Some(_) => "ablation",
        None => "methods",
    };
    let root = options
        .run_dir
        .clone()
        .unwrap_or_else(|| PathBuf::from(format!("runs/compare-{what}")));
    let mut fit = config.student.fit;
    if options.ablation.is_some() && fit.drop_path == 0.0 {
        fit.drop_path = ABLATION_DROP_PATH;
    }
    let settings = GridSettings {
        version: env!("CARGO_PKG_VERSION").into(),
        data_sha256: data.hash(),
        seed: options.seed,
        int8: options.int8,
        unlabeled_ratio: config.student.unlabeled_ratio,
        net: config.distill.net,
        fit: FitConfig {
            steps: options.steps.unwrap_or(fit.steps),
            ..fit
        },
        weak: config.student.weak,
        strong: config.student.augment,
        pseudo_labels: config.pseudo_labels,
        methods: config.methods,
    };
    let learners = match options.ablation {
        Some(Ablation::Noise) => Learner::ablation(),
        None => Learner::rows(&options.methods.concat()),
    };
    let mut labels = options.labels.clone();
    if labels.is_empty() {
        labels.push(data.labeled.labels.len());
    }
    // A number that is given twice is one column; two trainings must not share a file.
    labels.sort_unstable();
    labels.dedup();
    let seeds = usize::from(options.seeds);
    let grid = Grid {
        learners: &learners,
        labels: &labels,
        seeds,
        jobs: options
            .jobs
            .map_or_else(rayon::current_num_threads, usize::from),
    };
    let dir = RunDir::open(&root, false)?;
    let rows = run(&dir, options.fresh, &settings, &data, &grid, options.quiet)?;
    let test_images = data.test.labels.len();
    let json = table::json(&rows, &settings, test_images);
    let chart = table::chart(&rows);
    let table = table::table(&rows, &settings, seeds, test_images);
    report::write(&dir, &json, "Methods compared", &chart, &table)?;
    Ok(if options.json {
        format!("{json}\n")
    } else {
        table
    })
}
