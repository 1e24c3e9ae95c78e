//! `pupil compare --methods`: from what was typed to what is printed.

use std::path::PathBuf;

use crate::cli::{CompareOptions, Methods, RunOptions};
use crate::compare::methods::grid::Grid;
use crate::compare::methods::{GridSettings, run, table};
use crate::methods::Method;
use crate::pipeline::{configuration, load_data};
use crate::run_dir::RunDir;
use crate::train::FitConfig;

/// Trains and compares; returns the table or one JSON object, and leaves `compare.json`,
/// `compare.svg` and `compare.html` in the directory.
///
/// # Errors
/// Everything that a user can mend, in words.
pub fn compare(options: &CompareOptions) -> anyhow::Result<String> {
    let config = configuration(
        options.config.as_deref(),
        &RunOptions {
            data: options.data.clone(),
            set: options.set.clone(),
            ..RunOptions::default()
        },
    )?;
    let (data, _) = load_data(&config, &|line| eprintln!("{line}"))?;
    let root = options
        .run_dir
        .clone()
        .unwrap_or_else(|| PathBuf::from("runs/compare-methods"));
    let fit = config.student.fit;
    let settings = GridSettings {
        version: env!("CARGO_PKG_VERSION").into(),
        data_sha256: data.hash(),
        seed: options.seed,
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
    let methods = chosen(&options.methods);
    let labels = if options.labels.is_empty() {
        vec![data.labeled.labels.len()]
    } else {
        options.labels.clone()
    };
    let seeds = usize::from(options.seeds);
    let grid = Grid {
        methods: &methods,
        labels: &labels,
        seeds,
    };
    let dir = RunDir::open(&root, false)?;
    let rows = run(&dir, options.fresh, &settings, &data, &grid, options.quiet)?;
    let test_images = data.test.labels.len();
    let json = table::json(&rows, &settings, test_images);
    dir.write_json(&root.join("compare.json"), &json)?;
    dir.write(&root.join("compare.svg"), table::chart(&rows).as_bytes())?;
    let page = table::page(&rows, &settings, seeds, test_images);
    dir.write(&root.join("compare.html"), page.as_bytes())?;
    Ok(if options.json {
        format!("{json}\n")
    } else {
        table::table(&rows, &settings, seeds, test_images)
    })
}

/// The methods in the order of [`Method::ALL`], each once.
fn chosen(words: &[Methods]) -> Vec<Method> {
    let all = words.contains(&Methods::All);
    Method::ALL
        .into_iter()
        .filter(|m| all || words.contains(&Methods::One(*m)))
        .collect()
}
