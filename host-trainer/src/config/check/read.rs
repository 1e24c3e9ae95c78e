//! Texts with settings: syntax, unknown keys, wrong types; defaults, file and `--set` as one.

use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use thiserror::Error;
use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use super::ranges::check;
use crate::config::RunConfig;

/// Problems of a configuration, one a line.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{name} has {} problem{}\n{}", problems.len(), if problems.len() == 1 { "" } else { "s" }, problems.join("\n"))]
pub struct ConfigError {
    /// The file, or what stands for it.
    pub name: String,
    /// "  line 7   unknown key …".
    pub problems: Vec<String>,
}

/// One text with settings: a file, or one `--set`.
struct Document<'t> {
    text: &'t str,
    table: DeTable<'t>,
    file: bool,
}

impl Document<'_> {
    /// "line 12  ", or "--set    ".
    fn place(&self, span: &Range<usize>) -> String {
        if self.file {
            format!("line {:<4}", line_of(self.text, span))
        } else {
            "--set    ".to_owned()
        }
    }
}

/// Parses the text of a `run.toml` called `name` in messages.
///
/// # Errors
/// As [`load`].
pub fn parse(name: &str, text: &str) -> Result<RunConfig, ConfigError> {
    load(name, text, None, &[])
}

/// Parses the text of a `run.toml` called `name` in messages, with `KEY=VALUE` settings over it.
/// Relative paths in the text start at `base`, those of settings at the working directory.
///
/// # Errors
/// All problems at once: TOML syntax, unknown keys with the nearest known one, wrong types,
/// values out of range, paths that do not exist.
pub fn load(
    name: &str,
    text: &str,
    base: Option<&Path>,
    sets: &[String],
) -> Result<RunConfig, ConfigError> {
    let fail = |problems| ConfigError {
        name: name.to_owned(),
        problems,
    };
    let sets: Vec<String> = sets.iter().map(|s| as_toml(s)).collect();
    let (mut documents, mut problems) = (Vec::new(), Vec::new());
    let texts = std::iter::once((text, true)).chain(sets.iter().map(|s| (s.as_str(), false)));
    for (text, file) in texts {
        match DeTable::parse(text) {
            Ok(table) => documents.push(Document {
                text,
                table: table.into_inner(),
                file,
            }),
            Err(e) if file => {
                let line = e.span().map_or(1, |s| line_of(text, &s));
                problems.push(format!("  line {line:<4} {}", e.message()));
            }
            Err(e) => problems.push(format!("  --set     `{text}`: {}", e.message())),
        }
    }
    let known = known_keys();
    for document in &documents {
        walk(document, &document.table, &known, "", &mut problems);
    }
    if !problems.is_empty() {
        return Err(fail(problems));
    }
    let defaults =
        Table::try_from(RunConfig::default()).map_err(|e| fail(vec![format!("  {e}")]))?;
    let mut all = defaults.clone();
    for document in &documents {
        let mut user: Table =
            toml::from_str(document.text).map_err(|e| fail(vec![format!("  {}", e.message())]))?;
        if let (Some(base), true) = (base, document.file) {
            rebase(&mut user, base);
        }
        merge(&mut all, user);
    }
    let config: RunConfig = match Value::Table(all).try_into() {
        Ok(config) => config,
        Err(e) => {
            let e: toml::de::Error = e;
            let mut found = Vec::new();
            for document in &documents {
                wrong_values(
                    document,
                    &document.table,
                    &defaults,
                    &mut Vec::new(),
                    &mut found,
                );
            }
            if found.is_empty() {
                found.push(format!("  {}", e.message()));
            }
            return Err(fail(found));
        }
    };
    // The last one that sets a key decides.
    let place = |path: &str| {
        documents
            .iter()
            .rev()
            .find_map(|d| Some(d.place(&span_of_key(&d.table, path)?)))
    };
    let problems = check(&config, place);
    if problems.is_empty() {
        Ok(config)
    } else {
        Err(fail(problems))
    }
}

/// `KEY=VALUE` as a line of TOML: a value that is none is taken as text.
fn as_toml(set: &str) -> String {
    if DeTable::parse(set).is_ok() {
        return set.to_owned();
    }
    match set.split_once('=') {
        Some((key, value)) => format!("{}={}", key.trim(), Value::String(value.trim().to_owned())),
        None => set.to_owned(),
    }
}

/// Lets relative paths start at `base`.
fn rebase(table: &mut Table, base: &Path) {
    let from = |table: &mut Table, key: &str| {
        if let Some(Value::String(text)) = table.get_mut(key)
            && !["", "auto", "bundled"].contains(&text.as_str())
        {
            *text = base.join(&*text).display().to_string();
        }
    };
    from(table, "data");
    from(table, "init");
    if let Some(Value::Table(images)) = table.get_mut("images") {
        from(images, "unlabeled");
    }
}

/// Values that their keys do not take, although their TOML type is right: each alone over the
/// defaults.
fn wrong_values(
    document: &Document<'_>,
    table: &DeTable<'_>,
    defaults: &Table,
    at: &mut Vec<String>,
    found: &mut Vec<String>,
) {
    for (key, value) in table {
        at.push(key.get_ref().to_string());
        if let DeValue::Table(inner) = value.get_ref() {
            wrong_values(document, inner, defaults, at, found);
        } else if let Ok(line) =
            toml::from_str::<Table>(&format!("x = {}", &document.text[value.span()]))
        {
            let leaf = line.get("x").cloned().unwrap_or(Value::Boolean(false));
            let mut alone = defaults.clone();
            let nested = at.iter().rev().fold(leaf, |value, key| {
                Value::Table(Table::from_iter([(key.clone(), value)]))
            });
            if let Value::Table(nested) = nested {
                merge(&mut alone, nested);
            }
            if let Err(e) = RunConfig::deserialize(Value::Table(alone)) {
                found.push(format!(
                    "  {} {} = {}: {}",
                    document.place(&key.span()),
                    at.join("."),
                    &document.text[value.span()],
                    e.message().lines().next().unwrap_or_default()
                ));
            }
        }
        at.pop();
    }
}

/// The defaults as a table; every augmentation shows all keys that any kind has.
fn known_keys() -> Table {
    let mut table = Table::try_from(RunConfig::default()).unwrap_or_default();
    let full = table.get("teacher").and_then(|t| t.get("augment")).cloned();
    for (stage, key) in [
        ("student", "augment"),
        ("student", "weak"),
        ("distill", "augment"),
        ("distill", "labels_only_augment"),
    ] {
        if let (Some(Value::Table(stage)), Some(full)) = (table.get_mut(stage), &full) {
            stage.insert(key.to_owned(), full.clone());
        }
    }
    table
}

fn walk(
    document: &Document<'_>,
    table: &DeTable<'_>,
    known: &Table,
    at: &str,
    problems: &mut Vec<String>,
) {
    for (key, value) in table {
        let name = key.get_ref().as_ref();
        let place = document.place(&key.span());
        match known.get(name) {
            None => problems.push(unknown(&place, at, name, known)),
            Some(Value::Table(inner)) => match value.get_ref() {
                DeValue::Table(table) => {
                    walk(document, table, inner, &format!("{at}{name}."), problems);
                }
                other => problems.push(format!(
                    "  {place} {at}{name} is a table, not {}",
                    other.type_str()
                )),
            },
            Some(expected) => {
                let (wanted, found) = (expected.type_str(), value.get_ref().type_str());
                let number = wanted == "float" && found == "integer";
                if wanted != found && !number {
                    problems.push(format!(
                        "  {place} {at}{name} takes a {wanted}, not a {found}"
                    ));
                }
            }
        }
    }
}

fn unknown(place: &str, at: &str, name: &str, known: &Table) -> String {
    let nearest = known
        .keys()
        .map(|k| (strsim::damerau_levenshtein(k, name), k))
        .min()
        .filter(|(distance, _)| *distance <= name.len().div_ceil(2));
    match nearest {
        Some((_, key)) => {
            format!("  {place} unknown key `{at}{name}`; did you mean `{at}{key}`?")
        }
        None => {
            let keys: Vec<&str> = known.keys().map(String::as_str).collect();
            format!(
                "  {place} unknown key `{at}{name}`; known here: {}",
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

/// Where a dotted key stands, if the document has it.
fn span_of_key(table: &DeTable<'_>, path: &str) -> Option<Range<usize>> {
    let (first, rest) = path
        .split_once('.')
        .map_or((path, None), |(a, b)| (a, Some(b)));
    let (key, value) = table.iter().find(|(k, _)| k.get_ref().as_ref() == first)?;
    match (rest, value.get_ref()) {
        (Some(rest), DeValue::Table(inner)) => span_of_key(inner, rest),
        _ => Some(key.span()),
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
