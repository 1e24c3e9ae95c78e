//! Runs that are killed at any moment, and whose files are damaged: they end in the same student or
//! in a named error.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::own_images::{call, photos};
use crate::support::{finish, pupil};

/// Kills, and damages.
const TRIES: usize = 20;

/// A run of seconds: a training has five states in the middle.
const SETTINGS: [&str; 12] = [
    "teacher.net.width=0.5",
    "teacher.fit.steps=30",
    "teacher.fit.batch=16",
    "pseudo_labels.threshold=0.0",
    "student.net.width=0.5",
    "student.fit.steps=30",
    "student.fit.batch=24",
    "distill.net.width=0.5",
    "distill.fit.steps=30",
    "distill.fit.batch=16",
    "distill.labels_only.steps=20",
    "quantize.max_drop=100",
];

/// The call that runs all stages in the directory `run` on the photos beside it.
pub fn calls(run: &str) -> Vec<&str> {
    let mut all = vec!["run", "--data", "labeled", "--run-dir", run];
    for set in SETTINGS {
        all.extend(["--set", set]);
    }
    all.extend(["--set", "images.unlabeled=new photos"]);
    all
}

/// The packed student of a run.
pub fn student(run: &Path) -> Vec<u8> {
    std::fs::read(run.join("6-pack/student.pupil")).unwrap()
}

/// Numbers that are the same on every machine.
struct Draws(u64);

impl Draws {
    fn below(&mut self, bound: usize) -> usize {
        // Marsaglia's xorshift64.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }
}

#[test]
fn twenty_kills_at_random_moments_end_in_the_same_student() {
    let folder = tempfile::tempdir().unwrap();
    photos(folder.path());
    let begun = Instant::now();
    let (code, _, error) = call(folder.path(), &calls("whole"));
    assert_eq!(code, 0, "{error}");
    let length = begun.elapsed();
    let good = student(&folder.path().join("whole"));

    let run = folder.path().join("killed");
    let mut draws = Draws(20);
    let mut kills = 0;
    while kills < TRIES {
        let mut child = pupil(&calls("killed"))
            .current_dir(folder.path())
            .env("PUPIL_CACHE", folder.path().join("cache"))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let share = draws.below(1000) as f64 / 1000.0;
        std::thread::sleep(length.mul_f64(0.02 + 0.4 * share));
        if child.try_wait().unwrap().is_some() {
            let (code, _, error) = finish(child.wait_with_output().unwrap());
            assert_eq!(code, 0, "{error}");
            assert!(student(&run) == good, "another student after {kills} kills");
            std::fs::remove_dir_all(&run).unwrap();
            continue;
        }
        child.kill().unwrap();
        let (_, _, error) = finish(child.wait_with_output().unwrap());
        // One of the photos is damaged on purpose.
        let error = error.replace("1 damaged file, left out", "");
        assert!(
            !error.contains("error:") && !error.contains("damaged"),
            "{error}"
        );
        kills += 1;
    }
    let (code, _, error) = call(folder.path(), &calls("killed"));
    assert_eq!(code, 0, "{error}");
    assert!(student(&run) == good, "another student after {kills} kills");
}

/// All files below a folder, in order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn copy(from: &Path, to: &Path) {
    for path in files(from) {
        let target = to.join(path.strip_prefix(from).unwrap());
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::copy(&path, target).unwrap();
    }
}

/// Flips a bit, cuts or deletes; says what.
fn damage(path: &Path, draws: &mut Draws) -> String {
    let mut bytes = std::fs::read(path).unwrap();
    let at = draws.below(bytes.len());
    let what = match draws.below(3) {
        0 if !bytes.is_empty() => {
            bytes[at] ^= 1 << draws.below(8);
            std::fs::write(path, bytes).unwrap();
            format!("a bit of byte {at} flipped")
        }
        1 => {
            bytes.truncate(at);
            std::fs::write(path, bytes).unwrap();
            format!("cut to {at} bytes")
        }
        _ => {
            std::fs::remove_file(path).unwrap();
            "deleted".to_owned()
        }
    };
    format!("{}: {what}", path.display())
}

#[test]
fn twenty_damaged_files_end_in_the_same_student_or_a_named_error() {
    let folder = tempfile::tempdir().unwrap();
    photos(folder.path());
    let (whole, half) = (folder.path().join("whole"), folder.path().join("half"));
    let (code, _, error) = call(folder.path(), &calls("whole"));
    assert_eq!(code, 0, "{error}");
    let good = student(&whole);
    half_finished(folder.path(), &half);
    let cache = folder.path().join("cache");
    let kept_cache = folder.path().join("kept cache");
    std::fs::rename(&cache, &kept_cache).unwrap();

    let mut draws = Draws(9);
    let mut errors = 0;
    for number in 0..TRIES {
        let from = if number % 2 == 0 { &whole } else { &half };
        let run = folder.path().join("damaged");
        for path in [&run, &cache] {
            let _ = std::fs::remove_dir_all(path);
        }
        copy(from, &run);
        copy(&kept_cache, &cache);
        let mut all = files(&run);
        all.extend(files(&cache));
        let what = damage(&all[draws.below(all.len())], &mut draws);
        let (code, _, error) = call(folder.path(), &calls("damaged"));
        match code {
            0 => assert!(student(&run) == good, "{what}: another student\n{error}"),
            2 => {
                let named = error.contains("error: ") && error.contains("do:");
                assert!(named && !error.contains("panicked"), "{what}: {error}");
                errors += 1;
            }
            code => panic!("{what}: exit code {code}\n{error}"),
        }
    }
    assert!(errors < TRIES / 2, "{errors} of {TRIES} ended in an error");
}

/// A run that was killed in stage 3.
fn half_finished(folder: &Path, run: &Path) {
    for _ in 0..4 {
        let _ = std::fs::remove_dir_all(run);
        let mut child = in_stage_3(folder, run, &[]);
        child.kill().unwrap();
        child.wait().unwrap();
        if run.join(STATE).exists() {
            return;
        }
    }
    panic!("stage 3 ended too fast to be interrupted");
}

/// What a training in stage 3 keeps after its first epoch.
const STATE: &str = "3-student/student.resume.safetensors";

/// A run that has just kept its first state in stage 3, if it did not end before it was seen.
fn in_stage_3(folder: &Path, run: &Path, more: &[&str]) -> Child {
    let mut arguments = calls(run.file_name().unwrap().to_str().unwrap());
    arguments.extend(more);
    let mut child = pupil(&arguments)
        .current_dir(folder)
        .env("PUPIL_CACHE", folder.join("cache"))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while !run.join(STATE).exists() && child.try_wait().unwrap().is_none() {
        assert!(begun.elapsed() < Duration::from_secs(120), "no state came");
        std::thread::sleep(Duration::from_millis(2));
    }
    child
}

#[test]
fn what_is_learned_after_images_were_lost_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    photos(folder.path());
    // Long enough that the images are lost before the last epoch.
    let longer = ["--set", "student.fit.steps=200"];
    let mut arguments = calls("whole");
    arguments.extend(longer);
    let (code, _, error) = call(folder.path(), &arguments);
    assert_eq!(code, 0, "{error}");

    let run = folder.path().join("lost");
    let child = in_stage_3(folder.path(), &run, &longer);
    let sets = ["labeled", "new photos"].map(|n| folder.path().join(n));
    for set in &sets {
        std::fs::rename(set, set.with_extension("away")).unwrap();
    }
    for path in files(&folder.path().join("cache")) {
        if path.extension().is_some_and(|e| e == "pupc") {
            // In place: the run has the file open.
            let mut bytes = std::fs::read(&path).unwrap();
            bytes[100..].fill(77);
            let mut file = File::options().write(true).open(&path).unwrap();
            file.write_all(&bytes).unwrap();
        }
    }
    let (code, _, error) = finish(child.wait_with_output().unwrap());
    assert_eq!(code, 2, "{error}");
    assert!(
        error.contains("can't be read") && error.contains("do:"),
        "{error}"
    );
    assert!(!run.join("3-student/done.json").exists());

    for set in &sets {
        std::fs::rename(set.with_extension("away"), set).unwrap();
    }
    arguments = calls("lost");
    arguments.extend(longer);
    let (code, _, error) = call(folder.path(), &arguments);
    assert_eq!(code, 0, "{error}");
    let good = student(&folder.path().join("whole"));
    assert!(student(&run) == good, "another student\n{error}");
}
