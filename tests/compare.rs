//! Methods compared through the real binary: every one, and Noisy Student without its parts.

use std::path::Path;

use serde_json::Value;

use crate::own_images::{call, photos};
use crate::support::run;

/// A few steps of a narrow net on 30 labels.
const SHORT: [&str; 14] = [
    "compare",
    "--data",
    "bundled",
    "--labels",
    "30",
    "--seeds",
    "1",
    "--steps",
    "6",
    "--set",
    "distill.net.width=0.25",
    "--set",
    "student.fit.batch=24",
    "--quiet",
];

fn compare(dir: &Path, more: &[&str]) -> (i32, String, String) {
    let dir = dir.display().to_string();
    let arguments = [&SHORT[..], &["--run-dir", &dir], more].concat();
    run(&arguments)
}

/// `compare.json` without times, and the words of its rows.
fn outcome(dir: &Path) -> (Value, Vec<String>) {
    let text = std::fs::read_to_string(dir.join("compare.json")).unwrap();
    let mut all: Value = serde_json::from_str(&text).unwrap();
    let mut words = Vec::new();
    for row in all["rows"].as_array_mut().unwrap() {
        words.push(row["method"].as_str().unwrap().to_owned());
        for one in row["outcomes"].as_array_mut().unwrap() {
            one["seconds"] = Value::Null;
        }
    }
    (all, words)
}

#[test]
fn every_method_is_compared_once_and_packed() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("all");
    let (code, table, error) = compare(&dir, &["--methods", "all", "--int8"]);
    assert_eq!(code, 0, "{error}");
    let (first, words) = outcome(&dir);
    assert_eq!(
        words,
        [
            "supervised-weak",
            "supervised",
            "pseudo-label",
            "noisy-student",
            "uda",
            "fixmatch",
            "meta-pseudo-labels",
            "rotation",
            "jigsaw"
        ]
    );
    for (row, word) in first["rows"].as_array().unwrap().iter().zip(&words) {
        assert!(table.contains(word.as_str()), "{word} in\n{table}");
        let int8 = row["int8"]["mean"].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&int8), "{row}");
        let packed = std::fs::read(dir.join(format!("labels-30/{word}-0.pupil"))).unwrap();
        let model = pupil_core::model::Model::parse(&packed).unwrap();
        assert_eq!(model.class_count(), 10);
    }
    for file in ["compare.svg", "compare.html"] {
        let text = std::fs::read_to_string(dir.join(file)).unwrap();
        assert!(text.contains("<svg") && text.contains("jigsaw"), "{file}");
    }

    // What is there is not trained again; what is lost comes out the same.
    let kept = dir.join("labels-30/uda-0.json");
    let before = std::fs::read(&kept).unwrap();
    std::fs::remove_file(dir.join("labels-30/jigsaw-0.json")).unwrap();
    let (code, ..) = compare(&dir, &["--methods", "all", "--int8"]);
    assert_eq!(code, 0);
    assert_eq!(std::fs::read(&kept).unwrap(), before);
    assert_eq!(outcome(&dir).0, first);

    // Other settings in the same place are refused.
    let (code, _, error) = compare(&dir, &["--methods", "all", "--int8", "--seed", "7"]);
    assert_eq!(code, 2);
    assert!(error.contains("--fresh"), "{error}");
    // So are options that only the zoo's comparison knows.
    let (code, _, error) = compare(&dir, &["--methods", "uda", "--batch", "8"]);
    assert_eq!(code, 2);
    assert!(error.contains("--batch"), "{error}");
}

#[test]
fn noisy_student_is_taken_apart() {
    let folder = tempfile::tempdir().unwrap();
    let (code, table, error) = compare(folder.path(), &["--ablation", "noise"]);
    assert_eq!(code, 0, "{error}");
    let (all, words) = outcome(folder.path());
    assert_eq!(words.len(), 8, "{words:?}");
    for word in ["noisy-student", "without-noise", "with-hard-labels"] {
        assert!(table.contains(word), "{word} in\n{table}");
    }
    assert!(!table.contains("int8"), "{table}");
    assert!(all["rows"][0]["int8"].is_null(), "not asked for");
}

#[test]
fn recipes_are_run_whole_once_a_seed_and_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("recipes");
    let file = folder.path().join("short.toml");
    let recipe = "\
        [teacher.fit]\nsteps = 20\n[student.fit]\nsteps = 5\n[distill]\nviews = 2\n\
        [distill.fit]\nsteps = 20\n[distill.labels_only]\nsteps = 5\n";
    std::fs::write(&file, recipe).unwrap();
    let (file, place) = (file.display().to_string(), dir.display().to_string());
    let arguments = [
        "compare",
        "--recipes",
        &file,
        "--seeds",
        "2",
        "--data",
        "bundled",
        "--quiet",
        "--run-dir",
        &place,
    ];
    let (code, table, error) = run(&arguments);
    assert_eq!(code, 0, "{error}");
    assert!(
        table.contains("short   2,000 test images, 0 min") && table.contains("over labels only"),
        "{table}"
    );
    let read = || -> Value {
        serde_json::from_str(&std::fs::read_to_string(dir.join("compare.json")).unwrap()).unwrap()
    };
    let first = read();
    let students = first["recipes"][0]["students"].as_array().unwrap();
    assert_ne!(students[0], students[1], "two seeds, two students");
    let packed = std::fs::read(dir.join("short-1/6-pack/student.pupil")).unwrap();
    assert_eq!(
        pupil_core::model::Model::parse(&packed)
            .unwrap()
            .class_count(),
        10
    );
    // Finished runs are not needed any more.
    std::fs::remove_dir_all(dir.join("short-0")).unwrap();
    let (code, again, error) = run(&arguments);
    assert_eq!((code, again), (0, table), "{error}");
    assert_eq!(read(), first);
    // They are runs of these settings, and of no others.
    let changed = [&arguments[..], &["--set", "distill.views=3"]].concat();
    let (code, _, error) = run(&changed);
    assert!(code != 0 && error.contains("short.toml"), "{error}");
    let (code, _, error) = run(&[&arguments[..], &["--labels", "100"]].concat());
    assert!(code != 0 && error.contains("--labels"), "{error}");
}

#[test]
fn a_recipe_of_own_images_is_known_by_them_and_not_by_their_folder() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    photos(&at("here"));
    let recipe = "\
        [teacher.fit]\nsteps = 4\n[student.fit]\nsteps = 4\n[distill.fit]\nsteps = 4\n\
        [distill.labels_only]\nsteps = 4\n[quantize]\nmax_drop = 100\n";
    std::fs::write(at("short.toml"), recipe).unwrap();
    let compare = |data: &str| {
        let [data, place] = [data, "recipes"].map(|name| at(name).display().to_string());
        let arguments = [
            "compare",
            "--recipes",
            "short.toml",
            "--seeds",
            "1",
            "--data",
            &data,
            "--quiet",
            "--run-dir",
            &place,
        ];
        call(folder.path(), &arguments)
    };
    let (code, table, error) = compare("here/labeled");
    assert_eq!(code, 0, "{error}");
    // What may be published names no folder of this machine.
    for file in ["compare.json", "short.toml"] {
        let text = std::fs::read_to_string(at("recipes").join(file)).unwrap();
        let [own, machine] =
            ["\"labeled\"", &folder.path().display().to_string()].map(|words| text.contains(words));
        assert!(own && !machine, "{text}");
    }
    std::fs::rename(at("here"), at("there")).unwrap();
    let (code, again, error) = compare("there/labeled");
    assert_eq!((code, again), (0, table), "{error}");
    std::fs::remove_file(at("there/labeled/tall/7.ppm")).unwrap();
    let (code, _, error) = compare("there/labeled");
    assert!(code != 0 && error.contains("others now"), "{error}");
}
