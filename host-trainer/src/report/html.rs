//! `report.html`: one file, no network. With and without unlabeled images, curves,
//! pseudo-labels, confusion matrix, memory map, settings.

use std::fmt::Write as _;
use std::io::ErrorKind;

use super::svg::{Series, escape, intervals, lines};
use crate::config::RunConfig;
use crate::data::Dataset;
use crate::methods::selection::Selection;
use crate::run::stages::pack::Summary;
use crate::run::stages::quantize;
use crate::run::{RunDir, RunDirError, Stage};
use crate::train::Epoch;
use crate::util::numbers::thousands;

const STYLE: &str = "\
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}\
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}table{border-collapse:collapse}\
td,th{padding:.25rem .6rem;text-align:right;border-bottom:1px solid #ddd}\
td:first-child,th:first-child{text-align:left}\
svg{width:100%;max-width:44rem;height:auto;font:12px system-ui,sans-serif}\
pre{background:#f6f6f6;padding:.8rem;overflow:auto}.m td{text-align:center;min-width:1.8rem}\
.w{overflow-x:auto}";

/// The whole page.
///
/// # Errors
/// A damaged summary of a stage.
pub(crate) fn page(
    dir: &RunDir,
    config: &RunConfig,
    data: &Dataset,
    summary: &Summary,
) -> Result<String, RunDirError> {
    let mut html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>Pupil report</title><style>{STYLE}</style>\
         <h1>Pupil report</h1><p>{}: {} labeled, {} validation, {} unlabeled and {} test images; \
         seed {}; pupil {}.</p>",
        escape(&data.source),
        thousands(data.labeled.labels.len()),
        thousands(data.validation.labels.len()),
        thousands(data.unlabeled.len()),
        thousands(summary.test_images),
        config.seed,
        env!("CARGO_PKG_VERSION")
    );
    accuracy(&mut html, summary);
    curves(&mut html, dir, config.ensemble)?;
    pseudo(&mut html, &dir.summary(Stage::PseudoLabels)?, data);
    confusion(&mut html, summary, data);
    let quantized: quantize::Summary = dir.summary(Stage::Quantize)?;
    let _ = write!(
        html,
        "<h2>On the chip</h2><p>student.pupil: {} bytes of flash, {} bytes of arena, {} \
         multiply-accumulates an image. Ranges from {} images; validation accuracy float {:.1} %, \
         int8 {:.1} %. SHA-256 <code>{}</code>.</p><h2>Memory map</h2><pre>{}</pre>",
        thousands(summary.flash),
        thousands(summary.arena),
        thousands(summary.macs as usize),
        quantized.calibration_images,
        100.0 * quantized.float,
        100.0 * quantized.int8,
        summary.sha256,
        escape(&summary.plan)
    );
    let settings = toml::to_string_pretty(config).unwrap_or_default();
    let _ = write!(
        html,
        "<h2>Settings</h2><pre>{}</pre></html>",
        escape(&settings)
    );
    Ok(html)
}

fn accuracy(html: &mut String, summary: &Summary) {
    let bars: Vec<_> = summary
        .rows
        .iter()
        .map(|r| {
            let (low, high) = r.interval;
            (
                r.name.clone(),
                100.0 * r.accuracy,
                100.0 * low,
                100.0 * high,
            )
        })
        .collect();
    let _ = write!(
        html,
        "<h2>With and without unlabeled images</h2>{}<p>The first row is the packed net's twin, \
         trained on the labels alone with strong augmentation, for as many steps. Bars are 95 % \
         intervals.</p>",
        intervals("Accuracy on the test images", &bars)
    );
}

/// Trainings whose curves are drawn.
const LOGS: [(Stage, &str); 4] = [
    (Stage::Teacher, "teacher"),
    (Stage::Student, "student"),
    (Stage::Distill, "distilled"),
    (Stage::Distill, "labels-only"),
];

/// The log of a training.
fn epochs(dir: &RunDir, stage: Stage, name: &str) -> Result<Vec<Epoch>, RunDirError> {
    let file = format!("{name}.metrics.jsonl");
    let bytes = match dir.read(stage, &file) {
        Ok(bytes) => bytes,
        // A run of an older version, whose records don't vouch for logs.
        Err(RunDirError::Read { source, .. }) if source.kind() == ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    let lines = bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty());
    let epochs: Result<Vec<Epoch>, _> = lines.map(serde_json::from_slice).collect();
    epochs.map_err(|e| RunDirError::Damaged {
        path: crate::run::artifacts::file(dir.root(), stage, &file),
        why: e.to_string(),
    })
}

fn curves(html: &mut String, dir: &RunDir, ensemble: usize) -> Result<(), RunDirError> {
    let (mut loss, mut validation) = (Vec::new(), Vec::new());
    for (stage, name) in LOGS {
        let epochs = epochs(dir, stage, name)?;
        let series = |y: fn(&Epoch) -> f64| Series {
            name: name.to_owned(),
            points: epochs.iter().map(|e| (e.step as f64, y(e))).collect(),
            errors: Vec::new(),
        };
        loss.push(series(|e| e.loss));
        validation.push(series(|e| 100.0 * e.validation));
    }
    let members = match ensemble {
        1 => String::new(),
        many => format!(
            " Of the {many} teachers and the {many} students the first one's curves are drawn."
        ),
    };
    let _ = write!(
        html,
        "<h2>Learning curves</h2>{}{}<p>Losses of different stages have different scales: the \
         student's adds two terms, the distilled net's is a divergence.{members}</p>",
        lines(
            "Validation accuracy of averaged weights, %",
            "steps",
            &validation
        ),
        lines("Training loss", "steps", &loss)
    );
    Ok(())
}

fn pseudo(html: &mut String, summary: &Selection, data: &Dataset) {
    let _ = write!(
        html,
        "<h2>Pseudo-labels</h2><p>{} of {} images are confident enough; {} different images \
         remain after balancing.</p><table><tr><th>class</th><th>confident</th><th>after \
         balancing</th></tr>",
        thousands(summary.confident),
        thousands(summary.images),
        thousands(summary.unique)
    );
    for ((name, before), after) in data.classes.iter().zip(&summary.before).zip(&summary.after) {
        let _ = write!(
            html,
            "<tr><td>{}</td><td>{before}</td><td>{after}</td></tr>",
            escape(name)
        );
    }
    html.push_str("</table>");
}

fn confusion(html: &mut String, summary: &Summary, data: &Dataset) {
    html.push_str(
        "<h2>Confusion matrix of the int8 net</h2><p>Rows: true class. Columns: answer.</p>\
         <div class=\"w\"><table class=\"m\"><tr><th></th>",
    );
    for name in &data.classes {
        let _ = write!(html, "<th>{}</th>", escape(name));
    }
    html.push_str("</tr>");
    for (row, name) in summary.confusion.iter().zip(&data.classes) {
        let total = row.iter().sum::<usize>().max(1) as f64;
        let _ = write!(html, "<tr><td>{}</td>", escape(name));
        for n in row {
            let share = *n as f64 / total;
            let ink = if share > 0.6 { "#fff" } else { "#222" };
            let _ = write!(
                html,
                "<td style=\"background:rgba(11,98,164,{share:.2});color:{ink}\">{n}</td>"
            );
        }
        html.push_str("</tr>");
    }
    html.push_str("</table></div>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_of_an_ensemble_say_whose_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let dir = RunDir::open(folder.path(), false).unwrap();
        let page = |ensemble| {
            let mut html = String::new();
            curves(&mut html, &dir, ensemble).unwrap();
            html
        };
        let caption = "Of the 3 teachers and the 3 students the first one's curves are drawn.";
        assert!(page(3).contains(caption));
        assert!(!page(1).contains("the first one's"));
    }
}
