//! Files of a finished run that are damaged or gone: noticed by whoever reads them.

use std::path::{Path, PathBuf};

use crate::crash::{calls, student};
use crate::own_images::{call, photos};

/// A finished run called `run` of photos in `folder`; its student.
fn finished(folder: &Path) -> Vec<u8> {
    photos(folder);
    let (code, _, error) = call(folder, &calls("run"));
    assert_eq!(code, 0, "{error}");
    student(&folder.join("run"))
}

/// Flips a bit in the middle of a file.
fn flip(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn bits_that_flip_in_artifacts_of_a_run_are_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let good = finished(folder.path());
    let run = folder.path().join("run");
    let again = |what: &str, repeated: &[&str]| {
        let (code, _, error) = call(folder.path(), &calls("run"));
        assert_eq!(code, 0, "{what}: {error}");
        assert_eq!(
            error.matches("is repeated").count(),
            repeated.len(),
            "{what}: {error}"
        );
        for word in repeated {
            assert!(
                error.contains(&format!("{word} is repeated")),
                "{what}: {error}"
            );
        }
        assert!(student(&run) == good, "{what}: another student");
    };
    again("nothing", &[]);
    for (file, stage) in [
        ("1-teacher/teacher.safetensors", "teacher"),
        ("1-teacher/teacher.metrics.jsonl", "teacher"),
        ("1-teacher/teacher.json", "teacher"),
        ("1-teacher/done.json", "teacher"),
        ("2-pseudo-labels/pseudo_labels.safetensors", "pseudo-labels"),
        ("3-student/student.safetensors", "student"),
        ("4-distill/distilled.safetensors", "distill"),
        ("4-distill/labels-only.json", "distill"),
        ("5-quantize/ranges.json", "quantize"),
        ("6-pack/student.pupil", "pack"),
        ("6-pack/images.bin", "pack"),
        ("6-pack/done.json", "pack"),
    ] {
        flip(&run.join(file));
        again(&format!("{file} flipped"), &[stage]);
        if !file.ends_with("done.json") {
            std::fs::remove_file(run.join(file)).unwrap();
            again(&format!("{file} deleted"), &[stage]);
        }
    }
    again("nothing", &[]);
}

#[test]
fn a_damaged_or_deleted_student_is_named_by_every_command_that_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let good = finished(folder.path());
    let file = folder.path().join("run/6-pack/student.pupil");
    // Another run's student, whole by itself.
    let other = pupil_core::model::Model::parse(&good).is_ok();
    assert!(other);
    let quickstart = crate::support::committed("quickstart.pupil");
    let name = "run/6-pack/student.pupil";
    let commands: [&[&str]; 4] = [
        &["predict", "--run-dir", "run", "labeled/flat/1.ppm"],
        &["eval", "--run-dir", "run"],
        &["inspect", name],
        &["predict", "--model", name, "labeled/flat/1.ppm"],
    ];
    let refused = |words: &[&str]| {
        for command in commands {
            let (code, out, error) = call(folder.path(), command);
            assert_eq!((code, out.as_str()), (2, ""), "{command:?}: {error}");
            for word in words.iter().chain(&["student.pupil", "do:"]) {
                assert!(
                    error.contains(word),
                    "{command:?}: {word} is missing in\n{error}"
                );
            }
        }
    };
    flip(&file);
    refused(&["damaged", "pack"]);
    std::fs::write(&file, quickstart).unwrap();
    refused(&["damaged", "pack"]);
    std::fs::remove_file(&file).unwrap();
    refused(&[]);
    let (_, _, error) = call(folder.path(), commands[0]);
    assert!(
        error.contains("missing") && error.contains("pack"),
        "{error}"
    );
}

#[test]
fn a_damaged_settings_file_is_told_or_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let good = finished(folder.path());
    let run = folder.path().join("run");
    for name in ["run.toml", "provenance.json"] {
        let before = std::fs::read(run.join(name)).unwrap();
        flip(&run.join(name));
        let (code, _, error) = call(folder.path(), &calls("run"));
        assert_eq!(code, 0, "{name}: {error}");
        assert!(error.contains("written again"), "{name}: {error}");
        assert!(std::fs::read(run.join(name)).unwrap() == before, "{name}");
    }
    assert!(student(&run) == good);
    // The run's own file as the configuration: a digit makes other settings of it.
    let file = run.join("run.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let other = text.replace("fit = \"crop\"", "fit = \"letterbox\"");
    assert_ne!(other, text);
    std::fs::write(&file, other).unwrap();
    let calls: [&[&str]; 3] = [
        &["run", "run", "--run-dir", "run"],
        &["predict", "--run-dir", "run", "labeled/flat/1.ppm"],
        &["eval", "--run-dir", "run"],
    ];
    for arguments in calls {
        let (code, _, error) = call(folder.path(), arguments);
        assert_eq!(code, 2, "{arguments:?}: {error}");
        assert!(
            error.contains("run.toml: not what"),
            "{arguments:?}: {error}"
        );
    }
}

#[test]
fn a_run_of_an_older_version_is_read_without_checksums() {
    let folder = tempfile::tempdir().unwrap();
    let good = finished(folder.path());
    let run = folder.path().join("run");
    let mut records: Vec<PathBuf> = Vec::new();
    for stage in std::fs::read_dir(&run).unwrap() {
        let stage = stage.unwrap().path();
        if stage.is_dir() {
            let files = std::fs::read_dir(stage).unwrap();
            records.extend(files.map(|f| f.unwrap().path()));
        }
    }
    for path in records {
        let text = std::fs::read(&path).unwrap();
        if let Ok(mut record) = serde_json::from_slice::<serde_json::Value>(&text)
            && let Some(fields) = record.as_object_mut()
        {
            fields.remove("proof");
            fields.remove("checksum");
            std::fs::write(&path, record.to_string()).unwrap();
        }
    }
    let (code, _, error) = call(folder.path(), &calls("run"));
    assert_eq!(code, 0, "{error}");
    assert_eq!(
        error.matches("by a version without checksums").count(),
        6,
        "{error}"
    );
    // What such a record knows of the student still counts.
    flip(&run.join("6-pack/student.pupil"));
    let (code, _, error) = call(folder.path(), &["inspect", "run/6-pack/student.pupil"]);
    assert_eq!(code, 2, "{error}");
    std::fs::remove_file(run.join("5-quantize/ranges.json")).unwrap();
    let (code, _, error) = call(folder.path(), &calls("run"));
    assert_eq!(code, 0, "{error}");
    assert!(error.contains("quantize is repeated"), "{error}");
    assert!(student(&run) == good);
}

#[test]
fn a_damaged_result_that_a_comparison_kept_is_named() {
    let folder = tempfile::tempdir().unwrap();
    photos(folder.path());
    let arguments = [
        "compare",
        "--se",
        "--nets",
        "resnext",
        "--seeds",
        "1",
        "--steps",
        "2",
        "--data",
        "labeled",
        "--run-dir",
        "kept",
        "--quiet",
    ];
    let (code, first, error) = call(folder.path(), &arguments);
    assert_eq!(code, 0, "{error}");
    let file = folder.path().join("kept/resnext/seed-0/with.json");
    let text = std::fs::read_to_string(&file).unwrap();
    let at = text.find("\"accuracy\": 0.").unwrap() + "\"accuracy\": 0.".len();
    let mut bytes = text.clone().into_bytes();
    bytes[at] = if bytes[at] == b'3' { b'4' } else { b'3' };
    std::fs::write(&file, bytes).unwrap();
    let (code, _, error) = call(folder.path(), &arguments);
    assert_eq!(code, 2, "{error}");
    for word in ["with.json: damaged", "checksum", "do:", "--fresh"] {
        assert!(error.contains(word), "{error}");
    }
    std::fs::write(&file, text).unwrap();
    assert_eq!(call(folder.path(), &arguments).1, first);
}
