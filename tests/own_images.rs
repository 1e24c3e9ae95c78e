//! From a folder of photos to answers, as a newcomer goes: new, data, run, predict, eval.

use std::path::Path;

use serde_json::Value;

use crate::support::{finish, pupil};

/// A color photo of `class` as PPM: a bright bar that lies or stands, or a frame.
fn photo(class: usize, n: usize) -> Vec<u8> {
    let (w, h) = (40usize, 30usize);
    let mut bytes = format!("P6 {w} {h} 255\n").into_bytes();
    let (dy, dx) = (n % 5, n / 5 % 5);
    for y in 0..h {
        for x in 0..w {
            let lit = match class {
                0 => (y + dy) / 4 == 4,
                1 => (x + dx) / 5 == 4,
                _ => x < 3 + dx || y < 3 + dy || x > 36 - dx || y > 26 - dy,
            };
            let grain = (((x * 31 + y * 17 + n * 101) * 2_654_435_761) >> 9) % 40;
            let value = if lit {
                180 + grain
            } else {
                20 + grain + n % 7 * 5
            } as u8;
            bytes.extend([value, value / 2 + 20, (n * 13 % 90) as u8]);
        }
    }
    bytes
}

/// Labeled photos of three classes, and new ones.
pub fn photos(root: &Path) {
    for (class, name) in ["flat", "frame", "tall"].into_iter().enumerate() {
        let kind = [0, 2, 1][class];
        let folder = root.join("labeled").join(name);
        std::fs::create_dir_all(&folder).unwrap();
        for n in 0..30 {
            std::fs::write(folder.join(format!("{n}.ppm")), photo(kind, n)).unwrap();
        }
    }
    let folder = root.join("new photos");
    std::fs::create_dir_all(&folder).unwrap();
    for n in 0..60 {
        std::fs::write(folder.join(format!("{n}.ppm")), photo(n % 3, 100 + n)).unwrap();
    }
    // What real folders have: a cut file, a text, a labeled photo among the new ones.
    let whole = photo(0, 5);
    std::fs::write(root.join("labeled/flat/cut.ppm"), &whole[..whole.len() / 2]).unwrap();
    std::fs::write(root.join("labeled/notes.txt"), b"hello").unwrap();
    std::fs::write(folder.join("again.ppm"), photo(2, 3)).unwrap();
}

/// Runs the binary in `folder` with a cache of its own: exit code, stdout, stderr.
pub fn call(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = pupil(arguments);
    command
        .current_dir(folder)
        .env("PUPIL_CACHE", folder.join("cache"));
    finish(command.output().unwrap())
}

fn ok(folder: &Path, arguments: &[&str]) -> (String, String) {
    let (code, out, error) = call(folder, arguments);
    assert_eq!(code, 0, "{arguments:?}\n{out}{error}");
    (out, error)
}

fn json(folder: &Path, arguments: &[&str]) -> Value {
    serde_json::from_str(&ok(folder, arguments).0).unwrap()
}

const FEW_STEPS: [&str; 28] = [
    "--set",
    "teacher.fit.steps=200",
    "--set",
    "teacher.fit.batch=16",
    "--set",
    "teacher.net.width=0.5",
    "--set",
    "pseudo_labels.threshold=0.05",
    "--set",
    "student.fit.steps=200",
    "--set",
    "student.fit.ema=0.9",
    "--set",
    "distill.fit.ema=0.9",
    "--set",
    "student.fit.batch=24",
    "--set",
    "student.net.width=0.5",
    "--set",
    "distill.fit.steps=200",
    "--set",
    "distill.fit.batch=16",
    "--set",
    "distill.labels_only.steps=20",
    "--set",
    "distill.net.width=0.5",
    "--set",
    "quantize.max_drop=50",
];

#[test]
fn a_folder_of_photos_becomes_answers_without_an_edit() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    photos(folder);
    let (said, _) = ok(
        folder,
        &[
            "new",
            "leaf",
            "--labeled",
            "labeled",
            "--unlabeled",
            "new photos",
        ],
    );
    for part in [
        "wrote leaf/run.toml",
        "3 classes, 90 labeled images",
        "60 unlabeled",
        "the net sees 40x30 RGB: all images are 40x30",
        "1 damaged file, left out",
        "flat/cut.ppm",
        "again.ppm = frame/3.ppm",
        "next: pupil run leaf/run.toml",
    ] {
        assert!(said.contains(part), "`{part}` is missing in\n{said}");
    }
    let text = std::fs::read_to_string(folder.join("leaf/run.toml")).unwrap();
    for part in [
        "height = 30",
        "width = 40",
        "channels = 3",
        "# Share of the labeled",
    ] {
        assert!(text.contains(part), "`{part}` is missing in\n{text}");
    }
    // A second project of that name is refused, all problems at once.
    let (code, _, error) = call(folder, &["new", "leaf", "--labeled", "nowhere"]);
    assert_eq!(code, 2);
    assert!(
        error.contains("2 problems") && error.contains("nowhere: does not exist"),
        "{error}"
    );

    let report = json(folder, &["data", "leaf/run.toml", "--json"]);
    assert_eq!(report["classes"][0]["name"], "flat");
    assert_eq!(report["damaged"][0]["file"], "flat/cut.ppm");
    let (table, _) = ok(folder, &["data", "labeled", "--unlabeled", "new photos"]);
    assert!(
        table.contains("balance") && table.contains("damaged"),
        "{table}"
    );

    let mut run = vec!["run", "leaf", "--json"];
    run.extend(FEW_STEPS);
    let (out, progress) = ok(folder, &run);
    let summary: Value = serde_json::from_str(&out).unwrap();
    let test = summary["test_images"].as_u64().unwrap();
    assert!(test >= 9, "{summary}");
    assert!(progress.contains("flat/cut.ppm"), "{progress}");
    assert!(folder.join("runs/leaf/data.json").is_file());
    let int8 = summary["rows"].as_array().unwrap().last().unwrap()["accuracy"]
        .as_f64()
        .unwrap();
    assert!(int8 > 0.6, "three plain shapes are learned: {summary}");

    // The same student, the same images, the same figure.
    let measured = json(folder, &["eval", "--json"]);
    assert_eq!(
        (&measured["images"], &measured["accuracy"]),
        (&summary["test_images"], &serde_json::json!(int8))
    );
    let (code, _, error) = call(folder, &["eval", "--target", "100.5"]);
    assert_eq!(code, 1, "{error}");
    let (table, _) = ok(folder, &["eval", "--data", "labeled"]);
    assert!(table.contains("on 90 all labeled images"), "{table}");

    let predicted = json(
        folder,
        &[
            "predict",
            "labeled/tall/4.ppm",
            "new photos/7.ppm",
            "--json",
        ],
    );
    let first = &predicted["predictions"][0];
    let sum: f64 = first["probabilities"]
        .as_object()
        .unwrap()
        .values()
        .map(|p| p.as_f64().unwrap())
        .sum();
    assert!((sum - 1.0).abs() < 0.03, "{first}");
    let (code, out, error) = call(
        folder,
        &["predict", "labeled/flat/cut.ppm", "labeled/flat/1.ppm"],
    );
    assert_eq!(code, 2);
    assert!(
        error.contains("flat/cut.ppm") && out.contains("labeled/flat/1.ppm  "),
        "{out}{error}"
    );

    // Wrong settings of the command line are told like those of the file.
    let (code, _, error) = call(
        folder,
        &[
            "run",
            "leaf",
            "--set",
            "sede=1",
            "--set",
            "images.channels=2",
        ],
    );
    assert_eq!(code, 2);
    assert!(error.contains("did you mean `seed`"), "{error}");
    let (code, _, error) = call(
        folder,
        &[
            "run",
            "leaf",
            "--set",
            "images.channels=2",
            "--set",
            "data=gone",
        ],
    );
    assert_eq!(code, 2);
    assert!(
        error.contains("2 problems") && error.contains("does not exist"),
        "{error}"
    );
}
