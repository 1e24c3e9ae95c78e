//! What is said of wrong settings.

use super::*;
use crate::config::{DataSource, RunConfig};
use crate::data::Augment;

fn problems(text: &str) -> Vec<String> {
    parse("run.toml", text).unwrap_err().problems
}

#[test]
fn the_defaults_pass_and_survive_writing() {
    assert_eq!(parse("run.toml", "").unwrap(), RunConfig::default());
    let text = toml::to_string_pretty(&RunConfig::default()).unwrap();
    assert_eq!(parse("run.toml", &text).unwrap(), RunConfig::default());
}

#[test]
fn a_part_of_a_table_keeps_the_other_defaults() {
    let text = "seed = 3\n[teacher.fit]\nsteps = 7\n[student.augment]\nkind = \"none\"\n";
    let config = parse("run.toml", text).unwrap();
    assert_eq!((config.seed, config.teacher.fit.steps), (3, 7));
    assert_eq!(
        config.teacher.fit.batch,
        RunConfig::default().teacher.fit.batch
    );
    assert_eq!(config.student.augment, Augment::None);
}

#[test]
fn unknown_keys_are_named_with_the_nearest_known_one_all_at_once() {
    let text = "sede = 1\n\n[teacher.fit]\nlearning_rat = 0.1\nqqqqqqqqqqqqq = 1\n";
    let found = problems(text);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(
        found
            .iter()
            .any(|p| p.contains("line 1") && p.contains("did you mean `seed`"))
    );
    assert!(found.iter().any(|p| p.contains("line 4")
        && p.contains("`teacher.fit.learning_rat`; did you mean `teacher.fit.learning_rate`")));
    assert!(
        found
            .iter()
            .any(|p| p.contains("line 5") && p.contains("known here: batch"))
    );
}

#[test]
fn types_ranges_and_syntax_have_lines() {
    assert!(problems("seed = \"x\"")[0].contains("seed takes a integer, not a string"));
    let found = problems("[distill]\ntemperature = 0\n[distill.fit]\nema = 1.5\n");
    assert!(found[0].contains("line 4") && found[0].contains("distill.fit.ema = 1.5"));
    assert!(found[1].contains("line 2") && found[1].contains("distill.temperature = 0"));
    assert!(problems("seed = = 3")[0].contains("line 1"));
    assert!(problems("teacher = 3")[0].contains("teacher is a table"));
}

#[test]
fn settings_of_the_command_line_go_over_the_file() {
    let load = |sets: &[&str]| {
        let sets: Vec<String> = sets.iter().map(|s| (*s).to_owned()).collect();
        load(
            "run.toml",
            "seed = 3\n[teacher.fit]\nsteps = 7\n",
            None,
            &sets,
        )
    };
    let config = load(&[
        "teacher.fit.steps=9",
        "student.augment.kind=none",
        "data = bundled",
    ]);
    let config = config.unwrap();
    assert_eq!((config.seed, config.teacher.fit.steps), (3, 9));
    assert_eq!(config.student.augment, Augment::None);
    assert_eq!(config.data, DataSource::Bundled);
    let found = load(&["sede=1", "teacher.fit.steps=0", "nonsense"])
        .unwrap_err()
        .problems;
    assert!(found[0].starts_with("  --set     `nonsense`"), "{found:?}");
    assert!(found[1].contains("--set     unknown key `sede`; did you mean `seed`"));
    let found = load(&["teacher.fit.steps=0"]).unwrap_err().problems;
    assert_eq!(
        found,
        ["  --set     teacher.fit.steps = 0 must be at least 1"]
    );
}

#[test]
fn words_that_a_key_does_not_take_have_lines_all_at_once() {
    let found = problems("[images]\nfit = \"crp\"\n[teacher.net]\nactivation = \"silo\"\n");
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].contains("line 2") && found[0].contains("images.fit = \"crp\""));
    assert!(
        found[1].contains("line 4") && found[1].contains("`silo`"),
        "{found:?}"
    );
}

#[test]
fn paths_start_at_the_file_and_must_exist() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("photos")).unwrap();
    let text = "data = \"photos\"\n[images]\nunlabeled = \"more\"\nchannels = 2\n";
    let found = load("run.toml", text, Some(folder.path()), &[])
        .unwrap_err()
        .problems;
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found
            .iter()
            .any(|p| p.contains("line 3") && p.contains("more\" does not exist"))
    );
    assert!(
        found
            .iter()
            .any(|p| p.contains("line 4") && p.contains("images.channels = 2"))
    );
    let config = load("run.toml", "data = \"photos\"", Some(folder.path()), &[]).unwrap();
    assert_eq!(config.data, DataSource::Path(folder.path().join("photos")));
    let found = problems("[images]\nheight = 32\n");
    assert!(
        found[0].contains("line 1") && found[0].contains("images of your own"),
        "{found:?}"
    );
}
