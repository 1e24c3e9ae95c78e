//! `pupil predict`: the packed student's answers, by core's interpreter, as on the chip.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::anyhow;
use serde_json::json;

use crate::cli::arguments::StudentOptions;
use crate::data::fit::fit;
use crate::data::{Images, load};
use crate::eval::int8;
use crate::run::packed::Student;
use crate::util::console;

/// Classes shown beside the first, in text.
const ALSO: usize = 2;

/// Classifies files; returns what to print and how many files could not be read, which are
/// named on stderr.
///
/// # Errors
/// No student.
pub(crate) fn predict(
    files: &[PathBuf],
    options: &StudentOptions,
    as_json: bool,
) -> anyhow::Result<(String, usize)> {
    let student = Student::find(options.model.as_deref(), options.run_dir.as_deref())?;
    let model = student.model()?;
    let labels: Vec<&str> = model.labels().collect();
    let dims = student.dims()?;
    let (mut answers, mut failures) = (Vec::new(), Vec::new());
    for file in files {
        let decoded = load::image(file).map_err(|e| e.to_string());
        match decoded {
            Ok(image) => {
                let images = Images::new(dims, fit(&image, dims, student.fit));
                let scores = int8::scores(&model, &images)
                    .map_err(|why| anyhow!("{}: {why}", student.path.display()))?;
                answers.push((file.display().to_string(), probabilities(&scores)));
            }
            Err(why) => {
                console::note(&format!("error: {}: {why}", file.display()));
                failures.push(json!({ "file": file.display().to_string(), "why": why }));
            }
        }
    }
    if as_json {
        let predictions: Vec<_> = answers
            .iter()
            .map(|(file, p)| {
                let all: serde_json::Map<_, _> = labels
                    .iter()
                    .zip(p)
                    .map(|(l, p)| ((*l).to_owned(), json!(p)))
                    .collect();
                let best = order(p)[0];
                json!({ "file": file, "class": labels[best], "probability": p[best], "probabilities": all })
            })
            .collect();
        let object = json!({
            "model": student.path.display().to_string(),
            "predictions": predictions,
            "failures": failures,
        });
        return Ok((format!("{object}\n"), failures.len()));
    }
    let mut text = String::new();
    for (file, _) in &mut answers {
        *file = console::printable(file);
    }
    let wide = answers.iter().map(|(f, _)| f.chars().count()).max();
    let wide = wide.unwrap_or(0);
    for (file, p) in &answers {
        let best = order(p);
        let _ = write!(
            text,
            "{file:<wide$}  {} {:.1} %",
            labels[best[0]],
            100.0 * p[best[0]]
        );
        let also: Vec<String> = best
            .iter()
            .skip(1)
            .take(ALSO)
            .map(|i| format!("{} {:.1} %", labels[*i], 100.0 * p[*i]))
            .collect();
        let _ = writeln!(text, "   ({})", also.join(", "));
    }
    Ok((text, failures.len()))
}

/// Softmax scores of the model, 1/256 a step from −128.
fn probabilities(scores: &[i8]) -> Vec<f64> {
    scores
        .iter()
        .map(|s| (f64::from(*s) + 128.0) / 256.0)
        .collect()
}

/// Most probable first; equal ones in the order of classes, as on the chip.
fn order(p: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*b].total_cmp(&p[*a]));
    order
}
