//! Output that can't be written ends no training, and a lost result is told.

use std::process::{Command, Stdio};

use crate::own_images::photos;
use crate::support::{binary, finish, root};

/// A shell's call of the binary in `folder`: exit code, stdout, stderr.
fn shell(folder: &std::path::Path, line: &str) -> (i32, String, String) {
    let output = Command::new("sh")
        .args(["-c", line])
        .current_dir(folder)
        .env("PUPIL", binary())
        .env("PUPIL_CACHE", folder.join("cache"))
        .env("MODEL", root().join("firmware/model/quickstart.pupil"))
        .env_remove("CARGO_MANIFEST_DIR")
        .stdin(Stdio::null())
        .output();
    finish(output.unwrap())
}

#[test]
fn a_full_or_closed_stderr_does_not_end_a_training() {
    let folder = tempfile::tempdir().unwrap();
    photos(folder.path());
    let train = "\"$PUPIL\" teacher --data labeled --run-dir run --fresh \
                 --set teacher.fit.steps=4 --set teacher.net.width=0.5 \
                 --set student.net.width=0.5";
    for end in [
        "2>/dev/full",
        "2>&-",
        ">&- 2>&-",
        ">/dev/full 2>/dev/full",
        // A pipe whose reader is gone before the first line.
        "2>&1 >/dev/null | true; test -f run/1-teacher/done.json",
    ] {
        let _ = std::fs::remove_dir_all(folder.path().join("run"));
        let (code, out, error) = shell(folder.path(), &format!("{train} {end}"));
        assert_eq!((code, out.as_str()), (0, ""), "{end}: {error}");
        assert!(
            folder.path().join("run/1-teacher/done.json").is_file(),
            "{end}"
        );
    }
}

#[test]
fn a_result_that_can_t_be_written_is_an_error_and_a_reader_that_goes_away_is_none() {
    let folder = tempfile::tempdir().unwrap();
    photos(folder.path());
    for call in [
        "\"$PUPIL\" inspect \"$MODEL\" >/dev/full",
        "\"$PUPIL\" predict --model \"$MODEL\" labeled/flat/1.ppm >/dev/full",
        "\"$PUPIL\" --help >/dev/full",
        "\"$PUPIL\" man >/dev/full",
    ] {
        let (code, out, error) = shell(folder.path(), call);
        assert_eq!((code, out.as_str()), (2, ""), "{call}: {error}");
        assert!(
            error.contains("can't be written to stdout"),
            "{call}: {error}"
        );
        assert!(error.contains("do:"), "{call}: {error}");
        let (code, ..) = shell(folder.path(), &format!("{call} 2>/dev/full"));
        assert_eq!(code, 2, "{call}");
    }
    // Longer than what a pipe holds, so that the reader is surely gone.
    let all = "(\"$PUPIL\" completions zsh; echo $? >code) | head -c 1 >/dev/null; cat code";
    let (_, out, error) = shell(folder.path(), all);
    assert_eq!((out.as_str(), error.as_str()), ("0\n", ""));
}
