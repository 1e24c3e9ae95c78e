//! What a comparison of methods says: text, JSON, a chart, a page.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::grid::Row;
use super::learner::Learner;
use crate::experiments::Spread;
use crate::experiments::methods::settings::GridSettings;
use crate::experiments::report::heading;
use crate::methods::Method;
use crate::report::svg::{Series, lines};
use crate::util::numbers::thousands;

/// What every method has to beat.
const BASE: Learner = Learner::By(Method::Supervised);

fn accuracy(row: &Row) -> Spread {
    Spread::of(&row.outcomes.iter().map(|o| o.accuracy).collect::<Vec<_>>())
}

/// In int8, where every training was measured so.
fn int8(row: &Row) -> Option<Spread> {
    let values: Option<Vec<f64>> = row.outcomes.iter().map(|o| o.int8).collect();
    values.filter(|v| !v.is_empty()).map(|v| Spread::of(&v))
}

/// Difference to labels alone under strong augmentation, seed by seed.
fn gain(row: &Row, rows: &[Row]) -> Option<Spread> {
    let base = rows
        .iter()
        .find(|r| r.learner == BASE && r.labels == row.labels)?;
    let pairs = row.outcomes.iter().zip(&base.outcomes);
    Some(Spread::of(
        &pairs
            .map(|(a, b)| a.accuracy - b.accuracy)
            .collect::<Vec<_>>(),
    ))
}

/// What the wall times were taken with, where it was the same for all.
fn threads(rows: &[Row]) -> String {
    let mut all = rows.iter().flat_map(|r| &r.outcomes).map(|o| o.threads);
    match all.next() {
        Some(1) if all.all(|t| t == 1) => "; seconds on one thread".into(),
        Some(first) if all.all(|t| t == first) => format!("; seconds on {first} threads"),
        _ => String::new(),
    }
}

/// The table.
pub(crate) fn table(
    rows: &[Row],
    settings: &GridSettings,
    seeds: usize,
    test_images: usize,
) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{}; {} steps of {} images each{}\n",
        heading(seeds, Some(test_images)),
        thousands(settings.fit.steps as usize),
        settings.fit.batch,
        threads(rows)
    );
    let packed = rows.iter().all(|r| int8(r).is_some());
    let _ = writeln!(
        text,
        "{:>7}  {:<24} {:<15} {}{:<15} {:>9}",
        "labels",
        "method",
        "accuracy",
        if packed { "int8            " } else { "" },
        "over supervised",
        "seconds"
    );
    for row in rows {
        let seconds: f64 = row.outcomes.iter().map(|o| o.seconds).sum();
        let gain = gain(row, rows).filter(|_| row.learner != BASE);
        let _ = writeln!(
            text,
            "{:>7}  {:<24} {:<15} {}{:<15} {:>9.0}",
            thousands(row.labels),
            row.learner.word(),
            accuracy(row).percent(false),
            int8(row).map_or(String::new(), |s| format!("{:<16}", s.percent(false))),
            gain.map_or(String::new(), |g| g.percent(true)),
            seconds / row.outcomes.len().max(1) as f64
        );
    }
    text
}

/// `compare.json`.
pub(crate) fn json(rows: &[Row], settings: &GridSettings, test_images: usize) -> Value {
    let list: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({
                "method": row.learner,
                "labels": row.labels,
                "labels_sha256": row.labels_sha256,
                "accuracy": accuracy(row),
                "int8": int8(row),
                "over_supervised": gain(row, rows),
                "outcomes": row.outcomes,
            })
        })
        .collect();
    json!({ "settings": settings, "test_images": test_images, "rows": list })
}

/// Accuracy against the number of labels, a line a method.
pub(crate) fn chart(rows: &[Row]) -> String {
    let mut series: Vec<Series> = Vec::new();
    for row in rows {
        let point = (row.labels as f64, 100.0 * accuracy(row).mean);
        let error = accuracy(row).std.map_or(0.0, |s| 100.0 * s);
        match series.iter_mut().find(|s| s.name == row.learner.word()) {
            Some(line) => {
                line.points.push(point);
                line.errors.push(error);
            }
            None => series.push(Series {
                name: row.learner.word().to_owned(),
                points: vec![point],
                errors: vec![error],
            }),
        }
    }
    lines("% right of the test images", "labels", &series)
}
