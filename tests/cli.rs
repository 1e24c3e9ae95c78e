//! What the real binary says to wrong input: what, where, why, what to do; exit code 2.

use std::path::Path;

use flate2::read::GzDecoder;
use std::io::Read;

use crate::support::{committed, root, run};

/// Asserts exit code 2 and that stderr has every part.
fn refused(arguments: &[&str], parts: &[&str]) {
    let (code, out, error) = run(arguments);
    assert_eq!((code, out.as_str()), (2, ""), "{arguments:?}: {error}");
    assert!(error.starts_with("error: "), "{error}");
    for part in parts {
        assert!(error.contains(part), "`{part}` is missing in\n{error}");
    }
    assert!(
        !error.contains("panicked") && !error.contains("RUST_BACKTRACE"),
        "{error}"
    );
}

/// The bundled files as a full set's four, unpacked.
fn data_folder(folder: &Path) {
    let source = root().join("host-trainer/data/fashion-mnist");
    for (from, names) in [
        (
            "t10k-images-idx3-ubyte.gz",
            ["t10k-images-idx3-ubyte", "train-images-idx3-ubyte"],
        ),
        (
            "t10k-labels-idx1-ubyte.gz",
            ["t10k-labels-idx1-ubyte", "train-labels-idx1-ubyte"],
        ),
    ] {
        let packed = std::fs::read(source.join(from)).unwrap();
        let mut bytes = Vec::new();
        GzDecoder::new(&packed[..]).read_to_end(&mut bytes).unwrap();
        for name in names {
            std::fs::write(folder.join(name), &bytes).unwrap();
        }
    }
}

#[test]
fn a_device_that_is_not_built_in_names_its_feature() {
    for word in ["cuda", "wgpu"] {
        let feature = format!("--features {word}");
        let parts = ["--device", word, "why:", "do:", &feature, "CPU"];
        refused(&["--device", word], &parts);
        refused(&["teacher", "--device", word], &parts);
    }
    let (code, _, error) = run(&["run", "--device", "tpu"]);
    assert_eq!(code, 2, "{error}");
    assert!(error.contains("cpu, cuda, wgpu"), "{error}");
}

#[test]
fn damaged_and_missing_data_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().display().to_string();
    let dir = folder.path().join("run").display().to_string();
    let arguments = ["--data", &data, "--run-dir", &dir];
    refused(
        &arguments,
        &["no images in it, it is empty", "do:", "PNG, JPEG, BMP"],
    );
    data_folder(folder.path());
    let images = folder.path().join("train-images-idx3-ubyte");
    let good = std::fs::read(&images).unwrap();
    std::fs::write(&images, &good[..good.len() - 100]).unwrap();
    refused(
        &arguments,
        &[
            "train-images-idx3-ubyte",
            "data ends after 7839916 of 7840016 bytes",
        ],
    );
    let mut bad = good.clone();
    bad[3] = 9;
    std::fs::write(&images, &bad).unwrap();
    refused(
        &arguments,
        &["not an IDX file of images", "[00, 00, 08, 09]"],
    );
    std::fs::write(&images, &good).unwrap();
    let labels = folder.path().join("train-labels-idx1-ubyte");
    let mut short = std::fs::read(&labels).unwrap();
    short.truncate(8 + 9999);
    short[4..8].copy_from_slice(&9999u32.to_be_bytes());
    std::fs::write(&labels, &short).unwrap();
    refused(
        &arguments,
        &["train-labels-idx1-ubyte", "10000 images but 9999 labels"],
    );
}

#[test]
fn wrong_settings_come_with_line_and_nearest_key_all_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("run.toml");
    let name = config.display().to_string();
    refused(&["run", &name], &["run.toml: can't be read", "do:"]);
    std::fs::write(&config, "sede = 3\n[teacher.fit]\nlearning_rat = 1\n").unwrap();
    refused(
        &["run", &name],
        &[
            "2 problems",
            "line 1",
            "did you mean `seed`",
            "line 3",
            "did you mean `teacher.fit.learning_rate`",
        ],
    );
    std::fs::write(&config, "[distill.fit]\nsteps = 0\nbatch = 1\n").unwrap();
    refused(
        &["run", &name],
        &[
            "2 problems",
            "distill.fit.steps = 0",
            "distill.fit.batch = 1",
        ],
    );
    refused(&["--data", ""], &["data is empty"]);
}

#[test]
fn an_unwritable_run_directory_is_told_before_any_work() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, b"").unwrap();
    let dir = file.join("run").display().to_string();
    refused(
        &["--data", "bundled", "--run-dir", &dir],
        &["file/run", "must be writable", "--run-dir"],
    );
}

#[test]
fn damaged_students_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("student.pupil");
    let name = file.display().to_string();
    let inspect = ["inspect", name.as_str()];
    refused(&inspect, &["student.pupil: can't be read", "do:"]);
    let good = committed("quickstart.pupil");
    std::fs::write(&file, &good[..good.len() / 2]).unwrap();
    refused(&inspect, &["its header says", "do:"]);
    let mut bad = good.clone();
    bad[good.len() - 5] ^= 0x10;
    std::fs::write(&file, &bad).unwrap();
    refused(&inspect, &["damaged", "CRC-32", "do:"]);
    let mut newer = good.clone();
    newer[4] = 9;
    std::fs::write(&file, &newer).unwrap();
    refused(
        &inspect,
        &["packed model is format 9, this build reads up to 3", "do:"],
    );
    std::fs::write(&file, b"\x89PNG....").unwrap();
    refused(&inspect, &["not a packed model", "do:"]);
    std::fs::write(&file, &good).unwrap();
    let (code, text, _) = run(&inspect);
    assert_eq!(code, 0);
    for part in [
        "input   28x28x1",
        "classes 10: t-shirt",
        "depthwise",
        "arena",
        "softmax",
    ] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
    let (_, json, _) = run(&["inspect", "--json", &name]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["flash"], good.len());
}

#[test]
fn usage_errors_have_exit_code_2_and_help_has_0() {
    assert_eq!(run(&["no-such-command"]).0, 2);
    assert_eq!(run(&["--no-such-option"]).0, 2);
    let (code, help, _) = run(&["--help"]);
    assert_eq!(code, 0);
    assert!(help.contains("Exit codes") && help.contains("pseudo-labels"));
}

#[test]
fn the_zoo_is_a_table_and_json() {
    let (code, text, error) = run(&["zoo"]);
    assert_eq!(code, 0, "{error}");
    assert!(
        text.contains("efficientnet-b0") && text.contains("5,288,548"),
        "{text}"
    );
    let (code, text, error) = run(&["zoo", "--json", "--input", "32x32x3", "--ratio", "4"]);
    assert_eq!(code, 0, "{error}");
    let object: serde_json::Value = serde_json::from_str(&text).unwrap();
    let nets = object["nets"].as_array().unwrap();
    assert_eq!(nets.len(), 6 + 13);
    let resnet = nets.iter().find(|n| n["net"] == "resnet").unwrap();
    // 2 C²/r for 16, 32 and 64 channels.
    assert_eq!(resnet["added_parameters"], 2688);
    refused(&["zoo", "--input", "28x28"], &["28x28x1"]);
    refused(&["compare"], &["--se"]);
    refused(&["compare", "--se", "--gate", "relu"], &["hard-sigmoid"]);
}

#[test]
fn a_comparison_continues_and_refuses_other_settings() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().display().to_string();
    let small = [
        "--nets", "resnext", "--seeds", "2", "--data", "bundled", "--quiet",
    ];
    let go = |more: &[&str]| {
        let mut all = vec!["compare", "--se", "--run-dir", &dir];
        all.extend(small);
        all.extend(more);
        run(&all)
    };
    let (code, first, error) = go(&["--steps", "2", "--json"]);
    assert_eq!(code, 0, "{error}");
    let object: serde_json::Value = serde_json::from_str(&first).unwrap();
    assert_eq!(
        object["nets"][0]["with"]["accuracies"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let (_, again, _) = go(&["--steps", "2", "--json"]);
    assert_eq!(first, again);
    std::fs::remove_file(folder.path().join("resnext/seed-1/without.json")).unwrap();
    let (_, again, _) = go(&["--steps", "2", "--json"]);
    assert_eq!(first, again);
    let (code, _, error) = go(&["--steps", "3"]);
    assert!(
        code == 2 && error.contains("steps = 2") && error.contains("do:"),
        "{error}"
    );
}

#[test]
fn completions_and_manual_know_every_command() {
    let (_, help, _) = run(&["--help"]);
    let commands = help
        .split("Commands:")
        .nth(1)
        .and_then(|rest| rest.split("Options:").next())
        .unwrap();
    let names: Vec<&str> = commands
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("    "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(names.len() > 10, "{help}");
    for shell in ["bash", "zsh", "fish"] {
        let (code, text, error) = run(&["completions", shell]);
        assert_eq!(code, 0, "{error}");
        for name in &names {
            assert!(
                text.contains(name),
                "{name} is not in {shell}'s completions"
            );
        }
    }
    let (code, text, _) = run(&["man"]);
    assert!(code == 0 && text.contains(".TH pupil"), "{text}");
    let (code, text, _) = run(&["man", "--command", "predict"]);
    assert!(code == 0 && text.contains("json"), "{text}");
    refused(
        &["man", "--command", "nothing"],
        &["no command `nothing`", "pupil help"],
    );
}
