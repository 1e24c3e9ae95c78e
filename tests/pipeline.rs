//! All six stages through the real binary.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use pupil::data::fashion_mnist;
use pupil::eval::int8;
use pupil_core::model::Model;

use crate::support::{SHORT, finish, pupil, run};

fn write_config(folder: &Path) -> String {
    let path = folder.join("short.toml");
    std::fs::write(&path, SHORT).unwrap();
    path.display().to_string()
}

fn packed(run_dir: &Path) -> Vec<u8> {
    std::fs::read(run_dir.join("6-pack/student.pupil")).unwrap()
}

/// Waits until `path` exists or the child ends.
fn wait_for(path: &Path, child: &mut Child) {
    let start = Instant::now();
    while !path.exists() && child.try_wait().unwrap().is_none() {
        assert!(
            start.elapsed() < Duration::from_secs(300),
            "{} never came",
            path.display()
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Starts the call and kills it when `path` is there; anew if it came to its end before that.
pub fn killed_at(path: &Path, arguments: &[&str]) {
    for fresh in [&[][..], &["--fresh"], &["--fresh"], &["--fresh"]] {
        let mut child = pupil(&[arguments, fresh].concat())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_for(path, &mut child);
        child.kill().unwrap();
        child.wait().unwrap();
        if path.exists() {
            return;
        }
    }
    panic!("four calls ended without leaving {}", path.display());
}

/// Ctrl-C as soon as the child has said its first word; returns exit code and stderr.
///
/// A process that is only being started has no handler yet: it would die without a word.
fn interrupted(mut child: Child) -> (i32, String) {
    let mut words = BufReader::new(child.stderr.take().unwrap());
    let mut text = String::new();
    words.read_line(&mut text).unwrap();
    let pid = child.id().to_string();
    let told = std::process::Command::new("kill")
        .args(["-INT", &pid])
        .status()
        .unwrap();
    // A child that ended meanwhile is still there to be waited for, so the signal has a receiver.
    assert!(told.success());
    words.read_to_string(&mut text).unwrap();
    (child.wait().unwrap().code().unwrap_or(-1), text)
}

#[test]
fn a_run_ends_in_a_packed_student_whose_answers_are_those_of_the_table() {
    let folder = tempfile::tempdir().unwrap();
    let config = write_config(folder.path());
    let dir = folder.path().join("run");
    let name = dir.display().to_string();
    let (code, table, progress) = run(&["run", &config, "--run-dir", &name]);
    assert_eq!(code, 0, "{progress}");
    for row in [
        "labels only, same net",
        "teacher",
        "student, with unlabeled",
        "distilled, float",
        "int8",
        "flash",
        "RAM",
        "student.pupil",
        "report.html",
    ] {
        assert!(table.contains(row), "{row} is missing in\n{table}");
    }
    for (stage, file) in [
        ("1-teacher", "teacher.safetensors"),
        ("1-teacher", "teacher.metrics.jsonl"),
        ("2-pseudo-labels", "pseudo_labels.safetensors"),
        ("3-student", "student.safetensors"),
        ("4-distill", "distilled.safetensors"),
        ("4-distill", "labels-only.safetensors"),
        ("5-quantize", "ranges.json"),
        ("6-pack", "images.bin"),
    ] {
        assert!(dir.join(stage).join(file).is_file(), "{stage}/{file}");
        assert!(dir.join(stage).join("done.json").is_file(), "{stage}");
    }
    // A plain line per epoch, with stages named.
    assert!(
        progress.contains("1 teacher") && progress.contains("4 distill"),
        "{progress}"
    );
    assert!(!progress.contains('\x1b') && !table.contains('\x1b'));

    // The packed file, through core here, gives the accuracy that the table shows.
    let bytes = packed(&dir);
    let model = Model::parse(&bytes).unwrap();
    let test = fashion_mnist::bundled().unwrap().test;
    let answers = int8::classes(&int8::scores(&model, &test.images).unwrap(), 10);
    let right = answers
        .iter()
        .zip(&test.labels)
        .filter(|(a, b)| a == b)
        .count();
    let shown = format!("{:>6.2} %", right as f64 / 20.0);
    let line = table.lines().find(|l| l.contains("int8")).unwrap();
    assert!(line.contains(&shown), "{shown} is not in {line}");
    assert!(right > 600, "{right} of 2000 right: nothing was learned");

    // Run again: the same table, nothing trained.
    let (code, again, progress) = run(&["run", &config, "--run-dir", &name]);
    assert_eq!((code, &again), (0, &table));
    assert_eq!(progress.matches("done before").count(), 6, "{progress}");
    let (_, json, _) = run(&["run", &config, "--run-dir", &name, "--json", "--quiet"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["flash"], bytes.len());
    assert_eq!(json["test_images"], 2000);

    // The report stands alone.
    let html = std::fs::read_to_string(dir.join("report.html")).unwrap();
    for part in [
        "Confusion matrix",
        "With and without unlabeled",
        "Memory map",
        "<svg",
        "Learning curves",
    ] {
        assert!(html.contains(part), "{part}");
    }
    assert!(!html.contains("http"), "the report needs no network");

    // Other settings in the same place are refused before any work.
    let (code, _, error) = run(&["run", &config, "--run-dir", &name, "--seed", "9"]);
    assert_eq!(code, 2);
    assert!(
        error.contains("other settings") && error.contains("--fresh"),
        "{error}"
    );

    // One thread gives the same bytes, in another directory.
    let one = folder.path().join("one");
    let output = pupil(&[
        "run",
        &config,
        "--run-dir",
        &one.display().to_string(),
        "--quiet",
    ])
    .env("RAYON_NUM_THREADS", "1")
    .output()
    .unwrap();
    assert_eq!(finish(output).0, 0);
    assert!(packed(&one) == bytes, "one thread packs other bytes");
}

#[test]
fn stopped_runs_continue_and_end_in_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let config = write_config(folder.path());
    let whole = folder.path().join("whole");
    let begun = Instant::now();
    let (code, ..) = run(&[
        "run",
        &config,
        "--run-dir",
        &whole.display().to_string(),
        "--quiet",
    ]);
    assert_eq!(code, 0);
    let length = begun.elapsed();

    let dir = folder.path().join("stopped");
    let name = dir.display().to_string();
    let start = || {
        pupil(&["run", &config, "--run-dir", &name])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    // Killed without warning, eight times somewhere in the work that is left: at any step, and
    // while a file is written.
    let seed = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .subsec_nanos();
    eprintln!("kill points from seed {seed}");
    let mut state = seed;
    let mut went_on = 0;
    for nth in 0..8 {
        let mut child = start();
        if nth == 0 {
            // One of them is surely between two steps, on however slow a machine.
            wait_for(
                &dir.join("1-teacher/teacher.resume.safetensors"),
                &mut child,
            );
        } else {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let share = f64::from(state >> 8) / f64::from(1 << 24);
            wait_for(&dir.join("run.toml"), &mut child);
            std::thread::sleep(length.mul_f64(0.02 + 0.25 * share));
        }
        child.kill().unwrap();
        let (_, _, progress) = finish(child.wait_with_output().unwrap());
        went_on += progress.matches("goes on after step").count();
    }
    // Ctrl-C, unless the run has come to its end already.
    if !dir.join("6-pack/done.json").exists() {
        let (code, text) = interrupted(start());
        assert!(code == 130 || code == 0, "{code}: {text}");
        assert!(
            code == 0 || text.contains("the same command continues"),
            "{text}"
        );
    }
    let (code, _, progress) = run(&["run", &config, "--run-dir", &name]);
    assert_eq!(code, 0, "{progress}");
    went_on += progress.matches("goes on after step").count();
    assert!(
        went_on > 0,
        "no training went on in the middle, seed {seed}"
    );
    assert!(
        packed(&dir) == packed(&whole),
        "a stopped run packs other bytes, seed {seed}"
    );
    // Nothing is left of what was kept for going on.
    for stage in ["1-teacher", "3-student", "4-distill"] {
        for entry in std::fs::read_dir(dir.join(stage)).unwrap() {
            let file = entry.unwrap().file_name();
            let file = file.to_string_lossy();
            assert!(
                !file.contains("resume") && !file.ends_with(".part"),
                "{file}"
            );
        }
    }
}

#[test]
fn an_ensemble_learns_side_by_side_and_goes_on_after_a_stop() {
    let folder = tempfile::tempdir().unwrap();
    let config = write_config(folder.path());
    let [whole, stopped] = ["whole", "stopped"].map(|n| folder.path().join(n));
    let names = [&whole, &stopped].map(|d| d.display().to_string());
    let [words, again] = names
        .each_ref()
        .map(|dir| ["run", &config, "--run-dir", dir, "--set", "ensemble=2"]);
    // One thread, so one net after the other.
    let alone = pupil(&words).env("RAYON_NUM_THREADS", "1").output();
    let (code, table, progress) = finish(alone.unwrap());
    assert_eq!(code, 0, "{progress}");
    assert!(progress.contains("2 nets, each"), "{progress}");
    assert!(progress.contains("mean answer of 2 nets"), "{progress}");
    for stage in ["1-teacher/teacher", "3-student/student"] {
        let [one, two] = ["", "-net-2"]
            .map(|n| std::fs::read(whole.join(format!("{stage}{n}.safetensors"))).unwrap());
        assert!(one != two, "{stage}: both nets are the same");
        let parameters = |name: &str| {
            let text = std::fs::read_to_string(whole.join(name)).unwrap();
            let json: serde_json::Value = serde_json::from_str(&text).unwrap();
            json["parameters"].as_u64().unwrap()
        };
        let folder = stage.split('/').next().unwrap();
        let [one, all] =
            [format!("{stage}.json"), format!("{folder}/done.json")].map(|n| parameters(&n));
        assert_eq!(all, 2 * one, "{table}");
    }

    killed_at(
        &stopped.join("3-student/student.resume.safetensors"),
        &again,
    );
    let (code, _, progress) = run(&again);
    assert_eq!(code, 0, "{progress}");
    assert!(
        packed(&stopped) == packed(&whole),
        "a stopped ensemble packs other bytes"
    );
}

#[test]
fn a_damaged_state_falls_back_to_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let config = write_config(folder.path());
    let dir = folder.path().join("run");
    let name = dir.display().to_string();
    let older = dir.join("1-teacher/teacher.resume.previous.safetensors");
    killed_at(&older, &["teacher", &config, "--run-dir", &name]);
    let newer = dir.join("1-teacher/teacher.resume.safetensors");
    std::fs::write(&newer, b"no longer what it was").unwrap();
    let (code, _, progress) = run(&["teacher", &config, "--run-dir", &name]);
    assert_eq!(code, 0, "{progress}");
    assert!(
        progress.contains("teacher.resume.safetensors: damaged"),
        "{progress}"
    );
    assert!(
        progress.contains("teacher goes on after step"),
        "{progress}"
    );
}

#[test]
fn stages_run_one_by_one_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let config = write_config(folder.path());
    let dir = folder.path().join("run").display().to_string();
    let (code, _, error) = run(&["distill", &config, "--run-dir", &dir]);
    assert_eq!(code, 2);
    assert!(
        error.contains("distill needs what teacher makes"),
        "{error}"
    );
    let (code, table, progress) = run(&["teacher", &config, "--run-dir", &dir]);
    assert_eq!((code, table.as_str()), (0, ""), "{progress}");
    let (code, _, progress) = run(&["pseudo-labels", &config, "--run-dir", &dir]);
    assert_eq!(code, 0, "{progress}");
    assert!(!progress.contains("3 student"), "{progress}");
    // A damaged checkpoint is told, with the command that makes it anew.
    let net = folder.path().join("run/1-teacher/teacher.safetensors");
    let good = std::fs::read(&net).unwrap();
    std::fs::write(&net, &good[..good.len() - 9]).unwrap();
    let (code, _, error) = run(&["pseudo-labels", &config, "--run-dir", &dir, "--fresh"]);
    assert_eq!(code, 2);
    assert!(error.contains("teacher.safetensors: damaged"), "{error}");
    let advice = format!("pupil teacher {dir} --run-dir {dir} --fresh");
    assert!(error.contains(&advice), "{error}");
    // A stage that is repeated forgets what follows it.
    let (code, _, progress) = run(&["teacher", &config, "--run-dir", &dir, "--fresh"]);
    assert_eq!(code, 0, "{progress}");
    assert!(!folder.path().join("run/2-pseudo-labels").exists());
}
