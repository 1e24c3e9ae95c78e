//! Runs layer vectors through core: `conformance DIR…`, where DIR holds layers.json and data.bin,
//! or folders that do.
//!
//! Prints per operator how many cases passed, failed and were skipped, and last a total line. A layer
//! that core refuses has failed. Exit codes: 0 all equal, 1 a mismatch or refusal, 2 unreadable input or
//! a result that can't be written. `conformance --generate DIR` writes the project's own vectors from
//! core's reference.

mod execute;
mod generate;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use pupil_tests::vectors::{self, Layer, Vectors};

/// Passed, failed, skipped.
type Counts = [usize; 3];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["--generate", folder] => generate::write(Path::new(folder)).map(|()| [0; 3]),
        [] | ["--help" | "-h"] => {
            Err("usage: conformance DIR…, or conformance --generate DIR".into())
        }
        folders => run(folders, &mut std::io::stdout()),
    };
    match outcome {
        Ok([_, 0, _]) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(error) => {
            // A stderr that is closed or full changes no exit code.
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::from(2)
        }
    }
}

/// Checks all layers and writes what it finds to `out`.
fn run(folders: &[&str], out: &mut impl Write) -> Result<Counts, String> {
    let mut line = |text: String| {
        writeln!(out, "{text}").map_err(|e| format!("the result can't be written: {e}"))
    };
    let mut total: Counts = [0; 3];
    for folder in vectors::find(folders)? {
        let vectors = Vectors::read(&folder)?;
        line(format!("{}", folder.display()))?;
        let mut table: BTreeMap<&str, Counts> = BTreeMap::new();
        // A sequence that is for timing only has no expected output.
        for layer in vectors.layers.iter().filter(|l| !l.timing_only) {
            let counts = table.entry(&layer.op).or_default();
            match check(&vectors, layer) {
                Ok(None) => counts[0] += 1,
                Ok(Some(difference)) => {
                    counts[1] += 1;
                    line(format!("  {}: {difference}", layer.name))?;
                }
                // A layer that core refuses has no right answer, and others follow.
                Err(error) => {
                    counts[1] += 1;
                    line(format!("  {}: refused: {error}", layer.name))?;
                }
            }
        }
        line(format!("  {:<12} passed  failed skipped", "op"))?;
        for (op, counts) in table {
            line(format!(
                "  {op:<12} {:>6} {:>7} {:>7}",
                counts[0], counts[1], counts[2]
            ))?;
            for (sum, n) in total.iter_mut().zip(counts) {
                *sum += n;
            }
        }
    }
    line(format!(
        "{} passed, {} failed, {} skipped",
        total[0], total[1], total[2]
    ))?;
    Ok(total)
}

/// The first difference between core and the expected output, in words.
fn check(vectors: &Vectors, layer: &Layer) -> Result<Option<String>, String> {
    let found = execute::run(vectors, layer)?;
    let expected = vectors.int8(layer, "y")?;
    if found.len() != expected.len() {
        return Ok(Some(format!(
            "{} values, expected {}",
            found.len(),
            expected.len()
        )));
    }
    let Some(at) = found.iter().zip(&expected).position(|(a, b)| a != b) else {
        return Ok(None);
    };
    let wrong = found.iter().zip(&expected).filter(|(a, b)| a != b).count();
    let [h, w, c] = layer.dims(&layer.output);
    let (y, x, k) = (at / (w * c), at / c % w, at % c);
    let mut text = format!(
        "first difference at [y={y} x={x} c={k}]: expected {}, got {} ({wrong} of {} differ)",
        expected[at],
        found[at],
        found.len()
    );
    text += &format!("\n    channel {k} around it, expected | got");
    for row in y.saturating_sub(2)..(y + 3).min(h) {
        let patch = |values: &[i8]| -> String {
            let columns = x.saturating_sub(2)..(x + 3).min(w);
            columns
                .map(|x| format!("{:>5}", values[(row * w + x) * c + k]))
                .collect()
        };
        text += &format!("\n    {} |{}", patch(&expected), patch(&found));
    }
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::sink;

    fn own() -> String {
        concat!(env!("CARGO_MANIFEST_DIR"), "/vectors/own").into()
    }

    #[test]
    fn the_projects_own_vectors_pass() {
        let [passed, failed, skipped] = run(&[&own()], &mut sink()).unwrap();
        assert!(
            passed >= 40 && failed == 0 && skipped == 0,
            "{passed} {failed} {skipped}"
        );
    }

    #[test]
    fn the_committed_vectors_are_the_generated_ones() {
        let folder = tempfile::tempdir().unwrap();
        generate::write(folder.path()).unwrap();
        for name in ["layers.json", "data.bin"] {
            let read = |p: &Path| std::fs::read(p.join(name)).unwrap();
            assert!(read(folder.path()) == read(Path::new(&own())), "{name}");
        }
    }

    #[test]
    fn a_changed_byte_is_found_and_shown() {
        let mut vectors = Vectors::read(Path::new(&own())).unwrap();
        let layer = vectors
            .layers
            .iter()
            .find(|l| l.op == "conv2d")
            .unwrap()
            .clone();
        let at = layer.tensors["y"].offset + 3;
        vectors.data[at] ^= 0x40;
        let text = check(&vectors, &layer).unwrap().unwrap();
        assert!(
            text.contains("first difference at") && text.contains("1 of"),
            "{text}"
        );
    }

    #[test]
    fn a_refused_layer_fails_and_the_others_are_checked() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["layers.json", "data.bin"] {
            std::fs::copy(Path::new(&own()).join(name), folder.path().join(name)).unwrap();
        }
        let path = folder.path().join("layers.json");
        let mut file: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let layers = file["layers"].as_array_mut().unwrap();
        let all = layers.len();
        let first = layers.iter_mut().find(|l| l["op"] == "softmax").unwrap();
        first["diff_min"] = 1.into();
        std::fs::write(&path, file.to_string()).unwrap();
        let [passed, failed, _] =
            run(&[&folder.path().display().to_string()], &mut sink()).unwrap();
        assert_eq!((passed, failed), (all - 1, 1));
    }

    #[test]
    fn unreadable_input_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().display().to_string();
        assert!(
            run(&[&path], &mut sink())
                .unwrap_err()
                .contains("no layers.json")
        );
        std::fs::write(folder.path().join("layers.json"), "{").unwrap();
        assert!(
            run(&[&path], &mut sink())
                .unwrap_err()
                .contains("layers.json")
        );
        assert!(run(&["/nowhere/at/all"], &mut sink()).is_err());
    }
}
