//! `pupil compare --recipes`: from what was typed to what is printed.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, anyhow, bail};

use crate::cli::{CompareOptions, RunOptions};
use crate::compare::kept;
use crate::compare::recipes::{Finished, Recipe, chart, json, table};
use crate::compare::report;
use crate::pipeline::{self, Which, configuration};
use crate::run_dir::RunDir;

/// Runs each configuration once a seed; returns the table or one JSON object, and leaves
/// `compare.json`, `compare.svg` and `compare.html` in the directory. What an earlier call has
/// finished is read back; an unfinished run goes on.
///
/// # Errors
/// Everything that a user can mend, in words.
pub fn compare(options: &CompareOptions) -> anyhow::Result<String> {
    let root = options
        .run_dir
        .clone()
        .unwrap_or_else(|| PathBuf::from("runs/compare-recipes"));
    let names = names(&options.recipes)?;
    // All of them are read before the first is run.
    let run_options = |seed: u64, folder: PathBuf| RunOptions {
        run_dir: Some(folder),
        data: options.data.clone(),
        set: options.set.clone(),
        seed: Some(options.seed.wrapping_add(seed)),
        fresh: options.fresh,
        quiet: options.quiet,
        ..RunOptions::default()
    };
    let configs = options
        .recipes
        .iter()
        .map(|file| configuration(Some(file), &run_options(0, root.clone())))
        .collect::<Result<Vec<_>, _>>()?;
    let dir = RunDir::open(&root, false)?;
    let mut recipes = Vec::new();
    for ((name, file), config) in names.iter().zip(&options.recipes).zip(configs) {
        let settings = format!("{name}.toml");
        if options.fresh {
            dir.remove(&settings)?;
        }
        let text = toml::to_string_pretty(&config).context("run.toml can't be written")?;
        dir.keep_settings(&settings, (&text, &config), "comparison")?;
        let mut runs = Vec::new();
        for seed in 0..u64::from(options.seeds) {
            let folder = root.join(format!("{name}-{seed}"));
            let kept = root.join(format!("{name}-{seed}.json"));
            if options.fresh {
                dir.remove(&format!("{name}-{seed}.json"))?;
            }
            runs.push(match kept::found(&dir, &kept)? {
                Some(finished) => finished,
                None => {
                    let finished = run(file, &run_options(seed, folder))?;
                    kept::keep(&dir, &kept, &finished)?
                }
            });
        }
        recipes.push(Recipe {
            name: name.clone(),
            config,
            runs,
        });
    }
    let object = json(&recipes);
    let table = table(&recipes);
    report::write(&dir, &object, "Recipes compared", &chart(&recipes), &table)?;
    Ok(if options.json {
        format!("{object}\n")
    } else {
        table
    })
}

/// One run from the images to the packed student.
fn run(file: &Path, options: &RunOptions) -> anyhow::Result<Finished> {
    let new = options.fresh || options.run_dir.as_ref().is_some_and(|d| !d.exists());
    let begun = Instant::now();
    let (_, _, summary) = pipeline::run(Some(file), options, Which::All)?
        .ok_or_else(|| anyhow!("{}: the run has no packed student", file.display()))?;
    Ok(Finished {
        summary,
        seconds: new.then(|| begun.elapsed().as_secs_f64()),
        threads: rayon::current_num_threads(),
    })
}

/// What recipes are called: their files' names.
///
/// # Errors
/// Two of the same name, which would share their runs.
fn names(files: &[PathBuf]) -> anyhow::Result<Vec<String>> {
    let mut names: Vec<String> = Vec::new();
    for file in files {
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        let name = name.into_owned();
        if names.contains(&name) {
            bail!(
                "two recipes are called {name}\n  why:   their runs would lie in the same folders\n  do:    give one of the files another name"
            );
        }
        names.push(name);
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipes_need_different_names() {
        let files = |all: &[&str]| all.iter().map(PathBuf::from).collect::<Vec<_>>();
        assert_eq!(
            names(&files(&["a/ten.toml", "b.toml"])).unwrap(),
            ["ten", "b"]
        );
        let error = names(&files(&["a/ten.toml", "b/ten.toml"])).unwrap_err();
        assert!(error.to_string().contains("called ten"), "{error}");
    }
}
