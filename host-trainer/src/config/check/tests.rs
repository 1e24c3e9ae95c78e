//! What is said of wrong settings.

use std::path::Path;

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
    assert!(problems("seed = \"x\"")[0].contains("seed takes an integer, not a string"));
    let found = problems("[distill]\ntemperature = 0\n[distill.fit]\nema = 1.5\n");
    assert!(found[0].contains("line 2") && found[0].contains("distill.temperature = 0"));
    assert!(found[1].contains("line 4") && found[1].contains("distill.fit.ema = 1.5"));
    assert!(problems("seed = = 3")[0].contains("line 1"));
    assert!(problems("teacher = 3")[0].contains("teacher is a table"));
}

#[test]
fn constants_at_their_extremes_are_refused_by_key_and_line() {
    for (text, key) in [
        ("[distill]\ntemperature = 1e-38", "distill.temperature"),
        (
            "[methods.uda]\ntemperature = 1e-45",
            "methods.uda.temperature",
        ),
        (
            "[teacher.fit]\nsteps = 9223372036854775807",
            "teacher.fit.steps",
        ),
        (
            "[teacher.fit]\nsteps = 18446744073709551615",
            "teacher.fit.steps",
        ),
        ("[pack]\narena = 99999999999999999999", "pack.arena"),
        ("\nseed = 0xffffffffffffffff", "seed"),
    ] {
        let found = problems(text);
        assert!(
            found[0].contains("line 2") && found[0].contains(key),
            "{found:?}"
        );
    }
}

#[test]
fn settings_of_the_command_line_go_over_the_file() {
    let load = |sets: &[&str]| {
        let sets: Vec<String> = sets.iter().map(|s| (*s).to_owned()).collect();
        let over = Overrides {
            sets: &sets,
            data: None,
        };
        let text = "seed = 3\n[teacher.fit]\nsteps = 7\n";
        load("run.toml", text, None, &over)
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
        ["  --set     teacher.fit.steps = 0 must lie between 1 and a billion"]
    );
}

#[test]
fn all_kinds_of_problems_are_told_in_one_round_by_line() {
    let text = "sede = 1\nmethod = \"udda\"\n[teacher.fit]\nsteps = \"many\"\nbatch = 1\n[student]\nunlabeled_ratio = 0\nrounds = -1\n";
    let sets = ["seed=x".to_owned(), "quantize.max_drop=nan".to_owned()];
    let over = Overrides {
        sets: &sets,
        data: Some("nowhere/at/all"),
    };
    let found = load("run.toml", text, None, &over).unwrap_err().problems;
    let expected = [
        ("line 1 ", "unknown key `sede`"),
        ("line 2 ", "`udda`"),
        ("line 4 ", "takes an integer, not a string"),
        ("line 5 ", "teacher.fit.batch = 1"),
        ("line 7 ", "student.unlabeled_ratio = 0"),
        ("line 8 ", "student.rounds = -1"),
        ("--set ", "seed takes an integer"),
        ("--data ", "nowhere/at/all\" does not exist"),
        ("--set ", "quantize.max_drop = NaN"),
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (problem, (place, what)) in found.iter().zip(expected) {
        assert!(
            problem.contains(place) && problem.contains(what),
            "{found:#?}"
        );
    }
}

#[test]
fn another_kind_of_augmentation_has_its_fields_beside_it() {
    let text = "[student.weak]\nkind = \"strong\"\ncutout = 4\n[student.weak.rand_augment]\noperations = 2\nmagnitude = [1, 9]\n";
    let config = parse("run.toml", text).unwrap();
    assert!(matches!(
        config.student.weak,
        Augment::Strong { cutout: 4, .. }
    ));
    let wrong = text.replace("cutout = 4", "cutout = 4\nflop = true");
    assert_eq!(problems(&wrong).len(), 1, "{:?}", problems(&wrong));
    let alone = problems("[student.weak]\nkind = \"strong\"\n");
    assert!(alone[0].contains("rand_augment"), "{alone:?}");
}

#[test]
fn data_of_the_command_line_decides_before_anything_is_checked() {
    let folder = tempfile::tempdir().unwrap();
    let text = "data = \"gone\"\n[images]\nlabels_per_class = 5\n";
    let path = folder.path().display().to_string();
    let over = |data| Overrides { sets: &[], data };
    assert!(load("run.toml", text, None, &over(None)).is_err());
    let config = load("run.toml", text, None, &over(Some(&path))).unwrap();
    assert_eq!(config.data, DataSource::Path(path.as_str().into()));
    let found = load("run.toml", text, None, &over(Some("bundled"))).unwrap_err();
    assert!(found.to_string().contains("images of your own"), "{found}");
}

#[test]
fn paths_of_the_working_directory_become_absolute() {
    // Tests run in the crate's folder.
    let over = Overrides {
        sets: &[],
        data: Some("src"),
    };
    let config = load("the settings", "", None, &over).unwrap();
    let expected = std::path::absolute("src").unwrap();
    assert_eq!(config.data, DataSource::Path(expected));
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
    let found = load("run.toml", text, Some(folder.path()), &Overrides::default())
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
    let text = "data = \"photos\"";
    let config = load("run.toml", text, Some(folder.path()), &Overrides::default()).unwrap();
    assert_eq!(config.data, DataSource::Path(folder.path().join("photos")));
    let found = problems("[images]\nheight = 32\n");
    assert!(
        found[0].contains("line 1") && found[0].contains("images of your own"),
        "{found:?}"
    );
}

#[test]
fn every_committed_configuration_reads_without_a_problem() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for folder in [root.join("presets"), root.join("../docs/results")] {
        for file in std::fs::read_dir(&folder).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|e| e == "toml") {
                let text = std::fs::read_to_string(&path).unwrap();
                // Some are for images that the user names.
                let over = Overrides {
                    sets: &[],
                    data: text
                        .contains("[images]")
                        .then_some(env!("CARGO_MANIFEST_DIR")),
                };
                let read = load(&path.display().to_string(), &text, None, &over);
                assert!(read.is_ok(), "{}", read.unwrap_err());
                count += 1;
            }
        }
    }
    assert!(count >= 6, "{count}");
}
