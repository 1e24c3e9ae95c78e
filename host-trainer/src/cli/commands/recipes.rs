//! `pupil compare --recipes`: from what was typed to what is printed.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, anyhow, bail};

use crate::cli::arguments::CompareOptions;
use crate::config::{DataSource, RunConfig};
use crate::experiments::recipes::{Finished, Recipe, chart, json, table};
use crate::experiments::{kept, report};
use crate::report::html;
use crate::run::configuration::{configuration, name_of};
use crate::run::{Options, RunDir, Which, load_data, pipeline};
use crate::util::console;

/// Runs each configuration once a seed; returns the table or one JSON object, and leaves
/// `compare.json`, `compare.svg` and `compare.html` in the directory. What an earlier call has
/// finished with these images is read back; an unfinished run goes on where they lie at the same
/// path.
///
/// # Errors
/// Everything that a user can mend, in words.
pub(crate) fn compare(options: &CompareOptions) -> anyhow::Result<String> {
    let root = options
        .run_dir
        .clone()
        .unwrap_or_else(|| PathBuf::from("runs/compare-recipes"));
    let names = names(&options.recipes)?;
    let tell = |line: &str| {
        if !options.quiet {
            console::note(line);
        }
    };
    // All of them are read before the first is run.
    let run_options = |seed: u64, folder: PathBuf| Options {
        run_dir: Some(folder),
        data: options.data.clone(),
        set: options.set.clone(),
        seed: Some(options.seed.wrapping_add(seed)),
        fresh: options.fresh,
        quiet: options.quiet,
        ..Options::default()
    };
    let configs = options
        .recipes
        .iter()
        .map(|file| configuration(Some(file), &run_options(0, root.clone())))
        .collect::<Result<Vec<_>, _>>()?;
    let dir = RunDir::open(&root, false)?;
    let file_of = |name: &str, seed: u64| root.join(format!("{name}-{seed}.json"));
    // What speaks against one of them is told before hours of training, and before anything is
    // deleted.
    let mut recipes = Vec::new();
    for (name, config) in names.iter().zip(configs) {
        let public = without_folders(config.clone());
        let text = toml::to_string_pretty(&public).context("run.toml can't be written")?;
        let mut kept = vec![None; usize::from(options.seeds)];
        if !options.fresh {
            dir.keep_settings(&format!("{name}.toml"), (&text, &public), "comparison")?;
            for (seed, one) in (0..).zip(&mut kept) {
                *one = kept::found(&dir, &file_of(name, seed))?;
            }
        }
        // Settings do not tell one folder `photos` from another: their images do.
        let own = matches!(config.data, DataSource::Path(_));
        let now = match kept.iter().all(Option::is_some) && !own {
            true => None,
            false => Some(load_data(&config, &tell)?.0.hash()),
        };
        same_images(name, &kept, now.as_deref())?;
        recipes.push((name.clone(), text, public, kept));
    }
    let mut finished = Vec::new();
    for ((name, text, config, mut runs), file) in recipes.into_iter().zip(&options.recipes) {
        if options.fresh {
            let settings = format!("{name}.toml");
            dir.remove(&settings)?;
            for seed in 0..u64::from(options.seeds) {
                dir.remove(&format!("{name}-{seed}.json"))?;
            }
            dir.keep_settings(&settings, (&text, &config), "comparison")?;
        }
        for seed in 0..runs.len() {
            if runs[seed].is_some() {
                continue;
            }
            let folder = root.join(format!("{name}-{seed}"));
            let done = run(file, &run_options(seed as u64, folder))?;
            runs[seed] = Some(done.clone());
            // The images may have been changed since the run before.
            same_images(&name, &runs, None)?;
            runs[seed] = Some(kept::keep(&dir, &file_of(&name, seed as u64), &done)?);
        }
        let runs = runs.into_iter().flatten().collect();
        finished.push(Recipe { name, config, runs });
    }
    write(&dir, &finished, options.json)
}

/// Leaves the files of the comparison; returns the table or one JSON object.
fn write(dir: &RunDir, recipes: &[Recipe], as_json: bool) -> anyhow::Result<String> {
    let object = json(recipes);
    let table = table(recipes);
    report::write(dir, &object, "Recipes compared", &chart(recipes), &table)?;
    Ok(if as_json {
        format!("{object}\n")
    } else {
        table
    })
}

/// What is published of a configuration: of the images' paths the last name, as the folders before it
/// are those of one machine, and finished runs are known by the images' SHA-256. Nothing else tells
/// one `init` from another, which stays.
fn without_folders(mut config: RunConfig) -> RunConfig {
    if let DataSource::Path(path) = &mut config.data {
        *path = match last_name(path) {
            // These words stand for other images.
            name if ["auto", "bundled"].contains(&name.as_str()) => Path::new(".").join(name),
            name => name.into(),
        };
    }
    let unlabeled = &mut config.images.unlabeled;
    if !unlabeled.is_empty() {
        *unlabeled = last_name(Path::new(unlabeled));
    }
    config
}

/// "leaves" of /home/me/leaves, and of /home/me/leaves/train/.. too.
fn last_name(path: &Path) -> String {
    let whole = match path.file_name() {
        Some(_) => path.to_owned(),
        None => std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()),
    };
    let name = whole.file_name().map(|name| name.to_string_lossy());
    name.map_or("images".into(), |name| name.into_owned())
}

/// One run from the images to the packed student.
fn run(file: &Path, options: &Options) -> anyhow::Result<Finished> {
    let new = options.fresh || options.run_dir.as_ref().is_some_and(|d| !d.exists());
    let begun = Instant::now();
    let (root, _, summary) = pipeline::run(Some(file), options, Which::All, html::page)?
        .ok_or_else(|| anyhow!("{}: the run has no packed student", file.display()))?;
    Ok(Finished {
        summary,
        data_sha256: crate::run::settings::data_sha256(&root)?,
        seconds: new.then(|| begun.elapsed().as_secs_f64()),
        threads: rayon::current_num_threads(),
    })
}

/// Whether the runs of a recipe that are kept had one set of images, which is `now`'s where more are to
/// come; unknown ones of an earlier version pass.
///
/// # Errors
/// Others: their mean would say nothing.
fn same_images(name: &str, kept: &[Option<Finished>], now: Option<&str>) -> anyhow::Result<()> {
    let mut known = kept
        .iter()
        .enumerate()
        .filter_map(|(seed, run)| Some((seed, run.as_ref()?.data_sha256.as_str())))
        .filter(|(_, sha)| !sha.is_empty());
    let Some((first, sha)) = known.next() else {
        return Ok(());
    };
    let other = known
        .find(|(_, other)| *other != sha)
        .map(|(seed, _)| format!("seed {seed} had others"));
    let changed = || {
        let changed = now.is_some_and(|now| now != sha);
        changed.then(|| "they are others now".to_owned())
    };
    let Some(why) = other.or_else(changed) else {
        return Ok(());
    };
    bail!(
        "{name}: runs of different images can't be compared\n  where: seed {first} had those of SHA-256 {sha}; {why}\n  do:    take another directory with --run-dir DIR, or start over with --fresh"
    )
}

/// What recipes are called: NAME of NAME.toml, NAME/run.toml and NAME/.
///
/// # Errors
/// Two of the same name, which would share their runs.
fn names(files: &[PathBuf]) -> anyhow::Result<Vec<String>> {
    let mut names: Vec<String> = Vec::new();
    for (number, file) in files.iter().enumerate() {
        let name = name_of(file).unwrap_or_else(|| "recipe".into());
        if let Some(first) = names.iter().position(|n| *n == name) {
            bail!(
                "two recipes are called {name}\n  where: {} and {}\n  why:   their runs would lie in the same folders\n  do:    give one of the files another name",
                files[first].display(),
                files[number].display()
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
        assert_eq!(
            names(&files(&["a/run.toml", "b/run.toml"])).unwrap(),
            ["a", "b"]
        );
        let error = names(&files(&["a/ten.toml", "b/ten.toml"])).unwrap_err();
        assert!(
            error.to_string().contains("a/ten.toml and b/ten.toml"),
            "{error}"
        );
        assert!(!names(&files(&["."])).unwrap()[0].is_empty());
    }

    #[test]
    fn published_settings_have_no_folders_of_this_machine() {
        let mut config = RunConfig::default();
        assert_eq!(without_folders(config.clone()), config);
        config.data = DataSource::Path("/home/me/leaves".into());
        config.images.unlabeled = "/home/me/more".into();
        let public = without_folders(config.clone());
        assert_eq!(public.data, DataSource::Path("leaves".into()));
        assert_eq!(public.images.unlabeled, "more");
        // Read back, none of pupil's own sets.
        config.data = DataSource::Path("/home/me/bundled".into());
        let word = String::from(without_folders(config.clone()).data);
        assert_eq!(word, "./bundled");
        assert!(matches!(word.try_into(), Ok(DataSource::Path(_))));
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("leaves/train");
        std::fs::create_dir_all(&inner).unwrap();
        config.data = DataSource::Path(inner.join(".."));
        assert_eq!(
            without_folders(config).data,
            DataSource::Path("leaves".into())
        );
    }

    #[test]
    fn runs_of_other_images_are_refused() {
        let run = |sha: &str| {
            let mut run = crate::experiments::recipes::finished(0.8, 0.9, None);
            run.data_sha256 = sha.into();
            Some(run)
        };
        let kept = [run("a"), None, run("a")];
        same_images("ten", &kept, Some("a")).unwrap();
        same_images("ten", &[run(""), run("a")], Some("a")).unwrap();
        let error = same_images("ten", &kept, Some("b")).unwrap_err();
        assert!(error.to_string().contains("others now"), "{error}");
        let error = same_images("ten", &[run("a"), run("b")], None).unwrap_err();
        assert!(error.to_string().contains("seed 1 had others"), "{error}");
    }
}
