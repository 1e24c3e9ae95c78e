//! Choices of a training through the real binary, and what stops one.

use std::path::Path;
use std::process::Command;

use crate::own_images::{call, photos};
use crate::pipeline::killed_at;
use crate::support::{SHORT, binary, finish, run};

/// `SHORT` in a file of `folder`, and a run directory in it.
fn short(folder: &Path) -> (String, String) {
    let config = folder.join("short.toml");
    std::fs::write(&config, SHORT).unwrap();
    let dir = folder.join("run");
    (config.display().to_string(), dir.display().to_string())
}

#[test]
fn optimizers_schedules_and_mixing_are_chosen_in_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let (config, _) = short(folder.path());
    let validation = |name: &str, sets: &[&str]| -> f64 {
        let dir = folder.path().join(name);
        let text = dir.display().to_string();
        let mut arguments = vec!["teacher", &config, "--run-dir", &text, "--quiet"];
        for set in sets {
            arguments.extend(["--set", set]);
        }
        let (code, _, error) = run(&arguments);
        assert_eq!(code, 0, "{error}");
        let done = std::fs::read_to_string(dir.join("1-teacher/done.json")).unwrap();
        let done: serde_json::Value = serde_json::from_str(&done).unwrap();
        done["validation"].as_f64().unwrap()
    };
    let all = [
        validation("adamw", &[]),
        validation(
            "sgd",
            &[
                "teacher.fit.optimizer=sgd",
                "teacher.fit.learning_rate=0.05",
                "teacher.fit.weight_decay=0.0005",
                "teacher.fit.schedule=cosine-seven-sixteenths",
                "teacher.fit.cutmix=1.0",
            ],
        ),
        validation(
            "rmsprop",
            &[
                "teacher.fit.optimizer=rmsprop",
                "teacher.fit.weight_decay=1e-5",
                "teacher.fit.schedule=exponential-staircase",
                "teacher.fit.clip=1.0",
                "teacher.fit.mixup=0.2",
            ],
        ),
    ];
    // Ten classes; all learn, and no two do the same.
    assert!(all.iter().all(|v| *v > 0.35), "{all:?}");
    assert!(all[0] != all[1] || all[1] != all[2], "{all:?}");
}

#[test]
fn a_loss_that_is_no_number_names_step_images_and_the_last_state() {
    let folder = tempfile::tempdir().unwrap();
    photos(folder.path());
    let labeled = folder.path().join("labeled").display().to_string();
    // An L2 penalty times a rate above 2 makes the weights grow at each step: the rate rises over
    // 180 steps, and reaches it at about the fortieth.
    let (code, _, error) = call(
        folder.path(),
        &[
            "teacher",
            "--data",
            &labeled,
            "--run-dir",
            "run",
            "--set",
            "teacher.net.width=0.5",
            "--set",
            "student.net.width=0.5",
            "--set",
            "teacher.fit.steps=200",
            "--set",
            "teacher.fit.batch=16",
            "--set",
            "teacher.fit.optimizer=sgd",
            "--set",
            "teacher.fit.learning_rate=10.0",
            "--set",
            "teacher.fit.warmup=0.9",
            "--set",
            "teacher.fit.weight_decay=0.9",
        ],
    );
    assert_eq!(code, 2, "{error}");
    for part in [
        "teacher: the loss became",
        "at step",
        ".ppm",
        "and 8 more",
        "learning_rate (10)",
        "the state after step 40 is kept in run/1-teacher/teacher.resume.safetensors",
    ] {
        assert!(error.contains(part), "`{part}` is missing in\n{error}");
    }
    assert!(
        folder
            .path()
            .join("run/1-teacher/teacher.resume.safetensors")
            .is_file()
    );
}

#[test]
fn a_full_disk_stops_a_training_with_advice_and_it_goes_on_later() {
    let folder = tempfile::tempdir().unwrap();
    let (config, dir) = short(folder.path());
    // No file may grow beyond 100 blocks, which a state does.
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 100; exec \"$0\" \"$@\""])
        .arg(binary())
        .args(["teacher", &config, "--run-dir", &dir])
        .output()
        .unwrap();
    let (code, _, error) = finish(output);
    assert_eq!(code, 2, "{error}");
    for part in ["run/1-teacher", "why:", "make room", "--run-dir DIR"] {
        assert!(error.contains(part), "`{part}` is missing in\n{error}");
    }
    for entry in std::fs::read_dir(folder.path().join("run/1-teacher")).unwrap() {
        let name = entry.unwrap().file_name();
        let name = name.to_string_lossy();
        assert!(name.ends_with(".part"), "{name} looks whole");
    }
    let (code, _, progress) = run(&["teacher", &config, "--run-dir", &dir]);
    assert_eq!(code, 0, "{progress}");
}

#[test]
fn a_stage_that_starts_over_may_have_other_settings_and_earlier_ones_stay() {
    let folder = tempfile::tempdir().unwrap();
    let place = short(folder.path());
    fn with<'a>(
        command: &'a str,
        (config, dir): &'a (String, String),
        sets: &[&'a str],
    ) -> Vec<&'a str> {
        let mut arguments = vec![command, config, "--run-dir", dir];
        for set in sets {
            arguments.extend(["--set", set]);
        }
        arguments
    }
    // What ended before it made anything binds nobody.
    let order = run(&with("student", &place, &["teacher.fit.steps=60"]));
    assert_eq!(order.0, 2, "{}", order.2);
    let first = ["teacher.fit.steps=80"];
    for command in ["teacher", "pseudo-labels"] {
        let (code, _, error) = run(&with(command, &place, &first));
        assert_eq!(code, 0, "{error}");
    }
    let teacher = folder.path().join("run/1-teacher/teacher.safetensors");
    let before = std::fs::read(&teacher).unwrap();
    let second = ["teacher.fit.steps=80", "pseudo_labels.threshold=0.01"];
    let (code, _, error) = run(&with("pseudo-labels", &place, &second));
    assert_eq!(code, 2);
    assert!(error.contains("`pseudo-labels --fresh`"), "{error}");
    let mut fresh = with("pseudo-labels", &place, &second);
    fresh.push("--fresh");
    let (code, _, error) = run(&fresh);
    assert_eq!(code, 0, "{error}");
    assert_eq!(std::fs::read(&teacher).unwrap(), before);
    // The settings are those of the directory from now on.
    assert_eq!(run(&with("pseudo-labels", &place, &second)).0, 0);
    // What the teacher depends on can't change behind its back.
    let third = ["teacher.fit.steps=81", "pseudo_labels.threshold=0.01"];
    let mut fresh = with("pseudo-labels", &place, &third);
    fresh.push("--fresh");
    let (code, _, error) = run(&fresh);
    assert_eq!(code, 2);
    assert!(error.contains("`teacher --fresh`"), "{error}");
}

/// Steps of a method's short run.
const FEW: [&str; 6] = [
    "--set",
    "student.fit.steps=40",
    "--set",
    "teacher.fit.steps=60",
    "--set",
    "student.fit.ema=0.9",
];

#[test]
fn every_method_trains_a_student() {
    let folder = tempfile::tempdir().unwrap();
    let (config, dir) = short(folder.path());
    for command in ["teacher", "pseudo-labels"] {
        let mut arguments = vec![command, &config, "--run-dir", &dir];
        arguments.extend(FEW);
        let (code, _, error) = run(&arguments);
        assert_eq!(code, 0, "{error}");
    }
    let mut nets = Vec::new();
    for method in [
        "noisy-student",
        "supervised",
        "pseudo-label",
        "uda",
        "fixmatch",
        "meta-pseudo-labels",
    ] {
        let choice = format!("method={method}");
        let mut arguments = vec!["student", &config, "--run-dir", &dir, "--fresh"];
        arguments.extend(FEW);
        arguments.extend(["--set", &choice, "--set", "student.warm_start=true"]);
        // Something is confident in a run as short as this.
        arguments.extend(["--set", "methods.uda.confidence=0.3"]);
        arguments.extend(["--set", "methods.fixmatch.confidence=0.3"]);
        let (code, _, progress) = run(&arguments);
        assert_eq!(code, 0, "{method}\n{progress}");
        let stage = folder.path().join("run/3-student");
        let lines = std::fs::read_to_string(stage.join("student.metrics.jsonl")).unwrap();
        let last: serde_json::Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
        // Forty steps: chance is 0.1, and 0.2 is more than four of its deviations on 200 images.
        assert!(
            last["validation"].as_f64().unwrap() > 0.2,
            "{method}: {last}"
        );
        let watches = !["noisy-student", "supervised"].contains(&method);
        assert_eq!(last["unlabeled_entropy"].is_f64(), watches, "{last}");
        nets.push((
            method,
            std::fs::read(stage.join("student.safetensors")).unwrap(),
        ));
    }
    for (i, (method, net)) in nets.iter().enumerate() {
        assert!(nets[..i].iter().all(|(_, other)| other != net), "{method}");
    }
}

#[test]
fn a_stop_in_the_second_round_goes_on_there() {
    let folder = tempfile::tempdir().unwrap();
    let (config, whole) = short(folder.path());
    let stopped = folder.path().join("stopped").display().to_string();
    let arguments = |command: &'static str, dir: &str| {
        let mut arguments = vec![command, &config, "--run-dir"]
            .into_iter()
            .map(String::from)
            .collect::<Vec<_>>();
        arguments.push(dir.to_owned());
        arguments.extend(FEW.iter().map(|s| (*s).to_owned()));
        arguments.extend(
            [
                "--set",
                "student.rounds=2",
                "--set",
                "student.later_steps=60",
            ]
            .map(String::from),
        );
        arguments
    };
    let call = |command: &'static str, dir: &str| {
        let arguments = arguments(command, dir);
        run(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    };
    for command in ["teacher", "pseudo-labels", "student"] {
        assert_eq!(call(command, &whole).0, 0);
    }
    for command in ["teacher", "pseudo-labels"] {
        assert_eq!(call(command, &stopped).0, 0);
    }
    let student = arguments("student", &stopped);
    let stage = Path::new(&stopped).join("3-student");
    killed_at(
        &stage.join("student.resume.safetensors"),
        &student.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    let (code, _, progress) = call("student", &stopped);
    assert_eq!(code, 0, "{progress}");
    assert!(
        progress.contains("student-round-1 done before"),
        "{progress}"
    );
    assert!(
        progress.contains("student goes on after step"),
        "{progress}"
    );
    let net = |dir: &str| std::fs::read(Path::new(dir).join("3-student/student.safetensors"));
    assert_eq!(net(&stopped).unwrap(), net(&whole).unwrap());
}

#[test]
fn pretext_tasks_and_other_runs_come_before_the_labels() {
    let folder = tempfile::tempdir().unwrap();
    let (config, _) = short(folder.path());
    let teacher = |name: &str, sets: &[&str]| {
        let dir = folder.path().join(name);
        let text = dir.display().to_string();
        let mut arguments = vec!["teacher", &config, "--run-dir", &text];
        for set in ["transfer.fit.steps=60", "transfer.fit.batch=32"]
            .iter()
            .chain(sets)
        {
            arguments.extend(["--set", set]);
        }
        let (code, _, progress) = run(&arguments);
        (dir, code, progress)
    };
    for task in ["rotation", "jigsaw"] {
        let (dir, code, progress) = teacher(task, &[&format!("pretext={task}")]);
        assert_eq!(code, 0, "{progress}");
        assert!(progress.contains(&format!("pretext {task}:")), "{progress}");
        let stage = dir.join("1-teacher");
        let lines = std::fs::read_to_string(stage.join("pretext.metrics.jsonl")).unwrap();
        let last: serde_json::Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
        // Chance is 1/4 of 800 questions and 1/24 of 200; turns are learned quickly.
        let least = if task == "rotation" { 0.4 } else { 0.02 };
        assert!(last["validation"].as_f64().unwrap() > least, "{last}");
        let done = std::fs::read_to_string(stage.join("done.json")).unwrap();
        let done: serde_json::Value = serde_json::from_str(&done).unwrap();
        assert!(done["validation"].as_f64().unwrap() > 0.35, "{done}");
    }
    // Four answers there, ten classes here; the trunk alone would know nothing of classes.
    let init = folder
        .path()
        .join("rotation/1-teacher/pretext.safetensors")
        .display()
        .to_string();
    let sets = [&format!("init={init}"), "transfer.head_only=true"];
    let (_, code, progress) = teacher("head", &sets);
    assert_eq!(code, 0, "{progress}");
    assert!(progress.contains("begins with the trunk of"), "{progress}");
    let run_of = folder.path().join("rotation").display().to_string();
    let (_, code, progress) = teacher("other", &[&format!("init={run_of}")]);
    assert_eq!(code, 0, "{progress}");
    let init = format!("init={run_of}");
    let wide = [&init, "teacher.net.width=1", "student.net.width=1"];
    let (_, code, progress) = teacher("wide", &wide);
    assert_eq!(code, 2, "{progress}");
    for part in [
        "gives no net for this run",
        "1-teacher/teacher",
        "leave init empty",
    ] {
        assert!(
            progress.contains(part),
            "`{part}` is missing in\n{progress}"
        );
    }
    let (_, code, progress) = teacher("bare", &["transfer.head_only=true"]);
    assert_eq!(code, 2, "{progress}");
    assert!(progress.contains("set init or pretext"), "{progress}");
}
