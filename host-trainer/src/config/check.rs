//! Reads `run.toml`: what is missing takes its default, what is wrong is reported all at once,
//! each with its line.

use std::ops::Range;

use thiserror::Error;
use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use super::RunConfig;
use crate::data::Augment;
use crate::train::FitConfig;

/// Problems of a configuration, one a line.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{name} has {} problem{}\n{}", problems.len(), if problems.len() == 1 { "" } else { "s" }, problems.join("\n"))]
pub struct ConfigError {
    /// The file, or what stands for it.
    pub name: String,
    /// "  line 7   unknown key …".
    pub problems: Vec<String>,
}

/// Parses the text of a `run.toml` called `name` in messages.
///
/// # Errors
/// All problems at once: TOML syntax, unknown keys with the nearest known one, wrong types,
/// values out of range.
pub fn parse(name: &str, text: &str) -> Result<RunConfig, ConfigError> {
    let fail = |problems| ConfigError {
        name: name.to_owned(),
        problems,
    };
    let document = DeTable::parse(text).map_err(|e| {
        let line = e.span().map_or(1, |s| line_of(text, &s));
        fail(vec![format!("  line {line:<4} {}", e.message())])
    })?;
    let known = known_keys();
    let mut problems = Vec::new();
    walk(text, document.get_ref(), &known, "", &mut problems);
    if !problems.is_empty() {
        return Err(fail(problems));
    }
    let user: Table = toml::from_str(text).map_err(|e| fail(vec![format!("  {}", e.message())]))?;
    let mut all =
        Table::try_from(RunConfig::default()).map_err(|e| fail(vec![format!("  {e}")]))?;
    merge(&mut all, user);
    let config: RunConfig = Value::Table(all)
        .try_into()
        .map_err(|e: toml::de::Error| fail(vec![format!("  {}", e.message())]))?;
    let problems = check(&config, |path| line_of_key(text, document.get_ref(), path));
    if problems.is_empty() {
        Ok(config)
    } else {
        Err(fail(problems))
    }
}

/// The defaults as a table; every augmentation shows all keys that any kind has.
fn known_keys() -> Table {
    let mut table = Table::try_from(RunConfig::default()).unwrap_or_default();
    let full = table.get("teacher").and_then(|t| t.get("augment")).cloned();
    for (stage, key) in [
        ("student", "augment"),
        ("distill", "augment"),
        ("distill", "labels_only_augment"),
    ] {
        if let (Some(Value::Table(stage)), Some(full)) = (table.get_mut(stage), &full) {
            stage.insert(key.to_owned(), full.clone());
        }
    }
    table
}

fn walk(text: &str, table: &DeTable<'_>, known: &Table, at: &str, problems: &mut Vec<String>) {
    for (key, value) in table {
        let name = key.get_ref().as_ref();
        let line = line_of(text, &key.span());
        match known.get(name) {
            None => problems.push(unknown(line, at, name, known)),
            Some(Value::Table(inner)) => match value.get_ref() {
                DeValue::Table(table) => {
                    walk(text, table, inner, &format!("{at}{name}."), problems);
                }
                other => problems.push(format!(
                    "  line {line:<4} {at}{name} is a table, not {}",
                    other.type_str()
                )),
            },
            Some(expected) => {
                let (wanted, found) = (expected.type_str(), value.get_ref().type_str());
                let number = wanted == "float" && found == "integer";
                if wanted != found && !number {
                    problems.push(format!(
                        "  line {line:<4} {at}{name} takes a {wanted}, not a {found}"
                    ));
                }
            }
        }
    }
}

fn unknown(line: usize, at: &str, name: &str, known: &Table) -> String {
    let nearest = known
        .keys()
        .map(|k| (strsim::damerau_levenshtein(k, name), k))
        .min()
        .filter(|(distance, _)| *distance <= name.len().div_ceil(2));
    match nearest {
        Some((_, key)) => {
            format!("  line {line:<4} unknown key `{at}{name}`; did you mean `{at}{key}`?")
        }
        None => {
            let keys: Vec<&str> = known.keys().map(String::as_str).collect();
            format!(
                "  line {line:<4} unknown key `{at}{name}`; known here: {}",
                keys.join(", ")
            )
        }
    }
}

/// 1-based line of a span's start.
fn line_of(text: &str, span: &Range<usize>) -> usize {
    text.as_bytes()
        .iter()
        .take(span.start)
        .filter(|b| **b == b'\n')
        .count()
        + 1
}

/// Line of a dotted key, if the file has it.
fn line_of_key(text: &str, table: &DeTable<'_>, path: &str) -> Option<usize> {
    let (first, rest) = path
        .split_once('.')
        .map_or((path, None), |(a, b)| (a, Some(b)));
    let (key, value) = table.iter().find(|(k, _)| k.get_ref().as_ref() == first)?;
    match (rest, value.get_ref()) {
        (Some(rest), DeValue::Table(inner)) => line_of_key(text, inner, rest),
        _ => Some(line_of(text, &key.span())),
    }
}

fn merge(base: &mut Table, over: Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Value::Table(inner)), Value::Table(table)) => merge(inner, table),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

/// Values out of range, whichever way the configuration came about.
pub fn check(config: &RunConfig, line: impl Fn(&str) -> Option<usize>) -> Vec<String> {
    let mut problems = Vec::new();
    let mut need = |holds: bool, path: &str, value: String, rule: &str| {
        if !holds {
            let place = line(path).map_or("default  ".to_owned(), |l| format!("line {l:<4}"));
            problems.push(format!("  {place} {path} = {value} {rule}"));
        }
    };
    for (stage, net) in [
        ("teacher", &config.teacher.net),
        ("student", &config.student.net),
        ("distill", &config.distill.net),
    ] {
        need(
            net.stem_stride == 1 || net.stem_stride == 2,
            &format!("{stage}.net.stem_stride"),
            net.stem_stride.to_string(),
            "must be 1 or 2",
        );
        for (key, value) in [("width", net.width), ("depth", net.depth)] {
            need(
                (0.1..=16.0).contains(&value),
                &format!("{stage}.net.{key}"),
                value.to_string(),
                "must lie between 0.1 and 16",
            );
        }
    }
    for (stage, ratio) in [
        ("teacher", config.teacher.net.expand_ratio),
        ("student", config.student.net.expand_ratio),
        ("distill", config.distill.net.expand_ratio),
    ] {
        need(
            (1..=16).contains(&ratio),
            &format!("{stage}.net.expand_ratio"),
            ratio.to_string(),
            "must lie between 1 and 16",
        );
    }
    for (path, fit) in [
        ("teacher.fit", &config.teacher.fit),
        ("student.fit", &config.student.fit),
        ("distill.fit", &config.distill.fit),
        ("distill.labels_only", &config.distill.labels_only),
    ] {
        check_fit(path, fit, &mut need);
    }
    for (path, augment) in [
        ("teacher.augment", &config.teacher.augment),
        ("student.augment", &config.student.augment),
        ("distill.augment", &config.distill.augment),
        (
            "distill.labels_only_augment",
            &config.distill.labels_only_augment,
        ),
    ] {
        if let Augment::Strong { rand_augment, .. } = augment {
            let (least, most) = rand_augment.magnitude;
            need(
                (0.0..=30.0).contains(&least) && (least..=30.0).contains(&most),
                &format!("{path}.rand_augment.magnitude"),
                format!("[{least}, {most}]"),
                "must be ascending, within 0 and 30",
            );
        }
    }
    let threshold = config.pseudo_labels.threshold;
    need(
        (0.0..1.0).contains(&threshold),
        "pseudo_labels.threshold",
        threshold.to_string(),
        "is a probability: at least 0, below 1",
    );
    let ratio = config.student.unlabeled_ratio;
    need(
        ratio < config.student.fit.batch,
        "student.unlabeled_ratio",
        ratio.to_string(),
        "leaves no labeled image in a batch; it must be below student.fit.batch",
    );
    let temperature = config.distill.temperature;
    need(
        temperature > 0.0 && temperature <= 100.0,
        "distill.temperature",
        temperature.to_string(),
        "must be above 0 and at most 100",
    );
    let quantize = &config.quantize;
    need(
        quantize.calibration_images > 0,
        "quantize.calibration_images",
        quantize.calibration_images.to_string(),
        "must be at least 1",
    );
    need(
        (0.0..0.5).contains(&quantize.clip),
        "quantize.clip",
        quantize.clip.to_string(),
        "is a share at either end: at least 0, below 0.5",
    );
    problems
}

fn check_fit(path: &str, fit: &FitConfig, need: &mut impl FnMut(bool, &str, String, &str)) {
    let mut field = |holds, key: &str, value: String, rule: &str| {
        need(holds, &format!("{path}.{key}"), value, rule);
    };
    field(
        fit.steps > 0,
        "steps",
        fit.steps.to_string(),
        "must be at least 1",
    );
    field(
        (2..=4096).contains(&fit.batch),
        "batch",
        fit.batch.to_string(),
        "must lie between 2 (batch norm needs two images) and 4096",
    );
    let rate = fit.learning_rate;
    field(
        rate > 0.0 && rate <= 10.0,
        "learning_rate",
        rate.to_string(),
        "must be above 0 and at most 10",
    );
    for (key, value) in [
        ("weight_decay", fit.weight_decay),
        ("ema", fit.ema),
        ("label_smoothing", f64::from(fit.label_smoothing)),
        ("dropout", f64::from(fit.dropout)),
        ("drop_path", f64::from(fit.drop_path)),
    ] {
        field(
            (0.0..1.0).contains(&value),
            key,
            value.to_string(),
            "must be at least 0, below 1",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        parse("run.toml", text).unwrap_err().problems
    }

    #[test]
    fn the_defaults_pass_and_survive_writing() {
        assert_eq!(parse("run.toml", "").unwrap(), RunConfig::default());
        let text = toml::to_string_pretty(&RunConfig::default()).unwrap();
        assert_eq!(parse("run.toml", &text).unwrap(), RunConfig::default());
    }

    #[test]
    fn a_part_of_a_table_keeps_the_other_defaults() {
        let text = "seed = 3\n[teacher.fit]\nsteps = 7\n[student.augment]\nkind = \"none\"\n";
        let config = parse("run.toml", text).unwrap();
        assert_eq!((config.seed, config.teacher.fit.steps), (3, 7));
        assert_eq!(
            config.teacher.fit.batch,
            RunConfig::default().teacher.fit.batch
        );
        assert_eq!(config.student.augment, Augment::None);
    }

    #[test]
    fn unknown_keys_are_named_with_the_nearest_known_one_all_at_once() {
        let text = "sede = 1\n\n[teacher.fit]\nlearning_rat = 0.1\nqqqqqqqqqqqqq = 1\n";
        let found = problems(text);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(
            found
                .iter()
                .any(|p| p.contains("line 1") && p.contains("did you mean `seed`"))
        );
        assert!(found.iter().any(|p| p.contains("line 4")
            && p.contains("`teacher.fit.learning_rat`; did you mean `teacher.fit.learning_rate`")));
        assert!(
            found
                .iter()
                .any(|p| p.contains("line 5") && p.contains("known here: batch"))
        );
    }

    #[test]
    fn types_ranges_and_syntax_have_lines() {
        assert!(problems("seed = \"x\"")[0].contains("seed takes a integer, not a string"));
        let found = problems("[distill]\ntemperature = 0\n[distill.fit]\nema = 1.5\n");
        assert!(found[0].contains("line 4") && found[0].contains("distill.fit.ema = 1.5"));
        assert!(found[1].contains("line 2") && found[1].contains("distill.temperature = 0"));
        assert!(problems("seed = = 3")[0].contains("line 1"));
        assert!(problems("teacher = 3")[0].contains("teacher is a table"));
    }
}
