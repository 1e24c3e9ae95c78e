//! Files made to hurt: names that drive terminals, models and checkpoints that ask for too much.

use std::path::Path;

use pupil::nn::tensor_file;
use pupil::nn::values::Named;
use pupil_core::model::{InputSpec, Model, PixelFormat};
use pupil_core::op::quant::Affine;
use pupil_core::op::shape::Shape;
use pupil_packer::{ModelBuilder, Pad, Pool};

use crate::crash::{calls, student};
use crate::own_images::{call, photos};

/// A title change, a color, a line that comes back, and text that runs backwards.
const ESCAPES: &str = "x\u{1b}]0;owned\u{7}\u{1b}[31m\r\u{9b}2J\u{202e}y";

/// Whether a text would move a terminal's cursor or more.
fn is_raw(text: &str) -> bool {
    let control = |c: char| c.is_control() && c != '\n' && c != '\t';
    text.contains(control) || text.contains('\u{202e}')
}

/// Calls in `folder`; asserts exit code 2, all `words` and no raw control characters.
fn refused(folder: &Path, arguments: &[&str], words: &[&str]) {
    let (code, out, error) = call(folder, arguments);
    assert_eq!((code, out.as_str()), (2, ""), "{arguments:?}: {error}");
    assert!(
        !error.contains("panicked") && !is_raw(&error),
        "{arguments:?}: {error:?}"
    );
    for word in words {
        assert!(
            error.contains(word),
            "{arguments:?}: {word} is missing in\n{error}"
        );
    }
}

#[test]
fn a_label_that_can_t_be_packed_is_told_before_stage_1() {
    let folder = tempfile::tempdir().unwrap();
    photos(folder.path());
    let long = "w".repeat(300);
    for (label, word) in [
        ("flat\nsmall", "control characters"),
        ("flat\u{9b}", "control characters"),
        (long.as_str(), "300 bytes"),
    ] {
        let mut list = "path,label\n".to_owned();
        for n in 0..20 {
            list += &format!("labeled/flat/{n}.ppm,\"{label}\"\nlabeled/tall/{n}.ppm,tall\n");
        }
        std::fs::write(folder.path().join("list.csv"), list).unwrap();
        let words = ["list.csv", "line 2: label", word];
        refused(folder.path(), &["data", "list.csv"], &words);
        refused(
            folder.path(),
            &["new", "leaf", "--labeled", "list.csv"],
            &words,
        );
        for command in ["run", "teacher", "pack"] {
            refused(
                folder.path(),
                &[command, "--data", "list.csv", "--run-dir", "run"],
                &words,
            );
        }
        assert!(!folder.path().join("run/1-teacher").exists());
    }
    #[cfg(unix)]
    {
        let name = folder.path().join("labeled").join(ESCAPES);
        std::fs::rename(folder.path().join("labeled/flat"), name).unwrap();
        let words = ["control characters", "where:", "do:"];
        refused(folder.path(), &["data", "labeled"], &words);
        refused(
            folder.path(),
            &["run", "--data", "labeled", "--run-dir", "run"],
            &words,
        );
    }
}

#[cfg(unix)]
#[test]
fn names_with_terminal_escapes_are_printed_escaped() {
    let folder = tempfile::tempdir().unwrap();
    photos(folder.path());
    let model = crate::support::root().join("firmware/model/quickstart.pupil");
    let model = model.display().to_string();
    let image = format!("labeled/{ESCAPES}.ppm");
    std::fs::copy(
        folder.path().join("labeled/flat/1.ppm"),
        folder.path().join(&image),
    )
    .unwrap();
    let config = format!("{ESCAPES}.toml");
    std::fs::write(folder.path().join(&config), format!("{ESCAPES:?} = 1\n")).unwrap();
    let broken = format!("{ESCAPES}.pupil");
    std::fs::write(folder.path().join(&broken), b"PUPL").unwrap();
    let set = format!("seed={ESCAPES}");
    let line_break = "labeled/a\nerror: forged.ppm";
    std::fs::copy(folder.path().join(&image), folder.path().join(line_break)).unwrap();
    let calls: [&[&str]; 8] = [
        &["predict", "--model", &model, &image],
        &["predict", "--model", &model, &image, "--json"],
        &["predict", "--model", &model, ESCAPES],
        &["data", ESCAPES],
        &["data", "labeled"],
        &["run", &config],
        &["run", "--set", &set],
        &["inspect", &broken],
    ];
    for arguments in calls {
        let (code, out, error) = call(folder.path(), arguments);
        assert!(code == 0 || code == 2, "{arguments:?}: {code}");
        assert!(
            !is_raw(&out) && !is_raw(&error),
            "{arguments:?}: {out:?}{error:?}"
        );
        assert!(
            // A value of the wrong type is not repeated.
            arguments[1..].contains(&"labeled")
                || arguments.contains(&"--set")
                || (out + &error).contains("\\u001b"),
            "{arguments:?}"
        );
    }
    // Colors as on a terminal: what a wrong argument says must not pass for clap's own.
    for wrong in [ESCAPES, "\u{1b}[31mred"] {
        let output = crate::support::pupil(&[wrong])
            .env_remove("NO_COLOR")
            .env("CLICOLOR_FORCE", "1")
            .output();
        let (code, out, error) = crate::support::finish(output.unwrap());
        assert_eq!((code, out.as_str()), (2, ""));
        assert!(!is_raw(&error), "{error:?}");
    }
    let (_, out, _) = call(folder.path(), &["predict", "--model", &model, line_break]);
    assert_eq!(out.lines().count(), 1, "{out}");
}

/// A model on frames of `[h, w, c]`: pooling, mean, softmax.
fn packed([h, w, c]: [usize; 3], format: PixelFormat) -> Vec<u8> {
    let affine = Affine {
        scale: 0.1,
        zero_point: 0,
    };
    let labels: Vec<String> = (0..c).map(|i| format!("class {i}")).collect();
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    let input = InputSpec {
        shape: Shape::new(h, w, c),
        format,
        affine,
    };
    let mut builder = ModelBuilder::new(input, &labels);
    let all = builder.input();
    // A mean takes up to 2^23 pixels.
    let side = if h > 255 { 255 } else { 2 };
    let pool = Pool {
        kernel: (side, side),
        stride: (side, side),
        pad: Pad::Same,
        act: (-128, 127),
    };
    let map = builder.max_pool(all, pool).unwrap();
    let mean = builder.mean(map, affine).unwrap();
    builder.softmax(mean).unwrap();
    builder.finish().unwrap()
}

#[test]
fn models_that_the_host_can_t_feed_or_hold_are_refused_and_still_shown() {
    let folder = tempfile::tempdir().unwrap();
    photos(folder.path());
    for (dims, format, word) in [
        (
            [8, 8, 4],
            PixelFormat::Raw8,
            "raw sensor frames of 4 channels",
        ),
        (
            [8, 8, 1],
            PixelFormat::Raw8,
            "raw sensor frames of 1 channels",
        ),
        (
            [46_000, 46_000, 1],
            PixelFormat::Grey8,
            "declares an arena of",
        ),
    ] {
        let bytes = packed(dims, format);
        assert!(Model::parse(&bytes).is_ok());
        std::fs::write(folder.path().join("odd.pupil"), bytes).unwrap();
        let words = ["odd.pupil", word, "do:"];
        let predict = ["predict", "--model", "odd.pupil", "labeled/flat/1.ppm"];
        refused(folder.path(), &predict, &words);
        let eval = ["eval", "--model", "odd.pupil", "--data", "labeled"];
        refused(folder.path(), &eval, &words);
        let (code, out, error) = call(folder.path(), &["inspect", "odd.pupil"]);
        assert_eq!(code, 0, "{error}");
        assert!(
            out.contains("not run by this program") && out.contains(word),
            "{out}"
        );
        let (_, out, _) = call(folder.path(), &["inspect", "--json", "odd.pupil"]);
        let object: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert!(object["refused"].as_str().unwrap().contains(word), "{out}");
    }
}

#[test]
fn a_crafted_checkpoint_to_begin_from_is_told_without_memory_for_it() {
    let folder = tempfile::tempdir().unwrap();
    photos(folder.path());
    let (code, _, error) = call(folder.path(), &calls("run"));
    assert_eq!(code, 0, "{error}");
    student(&folder.path().join("run"));
    let whole = std::fs::read(folder.path().join("run/1-teacher/teacher.safetensors")).unwrap();
    let (about, tensors) = tensor_file::from_bytes(&whole).unwrap();
    let begin = |name: &str, bytes: &[u8], word: &str| {
        std::fs::write(folder.path().join(name), bytes).unwrap();
        let mut arguments = calls("next");
        let init = format!("init={name}");
        arguments.extend(["--set", &init]);
        refused(folder.path(), &arguments, &["init =", word, "do:"]);
        std::fs::remove_dir_all(folder.path().join("next")).unwrap();
    };
    for (from, to) in [
        ("\"head_ch\":", "\"head_ch\":1000000000,\"was\":"),
        ("\"classes\":3", "\"classes\":60000"),
        ("\"kernel\":3", "\"kernel\":0"),
        ("\"stem_stride\":2", "\"stem_stride\":0"),
        (
            "\"expand_ratio\":4",
            "\"expand_ratio\":18446744073709551615",
        ),
    ] {
        let crafted = about.replace(from, to);
        assert_ne!(crafted, about);
        let bytes = tensor_file::to_bytes(&tensors, &crafted).unwrap();
        begin("crafted.safetensors", &bytes, "its net");
    }
    let nan = |t: &Named| Named {
        values: vec![f32::NAN; t.values.len()],
        ..t.clone()
    };
    let values: Vec<Named> = tensors.iter().map(nan).collect();
    let bytes = tensor_file::to_bytes(&values, &about).unwrap();
    begin("nan.safetensors", &bytes, "no numbers");
    let mut long = whole.clone();
    long[..8].copy_from_slice(&(1u64 << 40).to_le_bytes());
    begin("long.safetensors", &long, "damaged checkpoint");
    begin("empty.safetensors", b"", "damaged checkpoint");
}

#[test]
fn an_arena_that_no_schedule_fits_is_told_before_stage_1() {
    let folder = tempfile::tempdir().unwrap();
    photos(folder.path());
    let mut arguments = calls("run");
    for set in ["pack.schedule=within", "pack.arena=100"] {
        arguments.extend(["--set", set]);
    }
    let words = ["no schedule fits an arena of 100 bytes", "where:", "do:"];
    refused(folder.path(), &arguments, &words);
    assert!(!folder.path().join("run/1-teacher").exists());
}
