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
#[error("{name}: {} problem{}\n{}", problems.len(), if problems.len() == 1 { "" } else { "s" }, problems.join("\n"))]
pub(crate) struct ConfigError {
    /// The file, or what stands for it.
    pub name: String,
    /// "  line 7   unknown key …".
    pub problems: Vec<String>,
}

/// Where a text with settings comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    File,
    Set,
    Data,
}

/// One text with settings: a file, one `--set`, or `--data`.
struct Document<'t> {
    text: &'t str,
    table: DeTable<'t>,
    origin: Origin,
}

impl Document<'_> {
    /// "line 12  ", or "--set    ".
    fn place(&self, span: &Range<usize>) -> String {
        match self.origin {
            Origin::File => format!("line {:<4}", line_of(self.text, span)),
            Origin::Set => "--set    ".to_owned(),
            Origin::Data => "--data   ".to_owned(),
        }
    }
}

/// A problem, the key it is about, and its place among the others: by line, options last.
struct Problem {
    order: usize,
    path: String,
    text: String,
}

impl Problem {
    fn new(place: &str, path: String, text: &str) -> Self {
        let line = place
            .strip_prefix("line ")
            .and_then(|l| l.trim().parse().ok());
        Self {
            order: line.unwrap_or(usize::MAX),
            path,
            text: format!("  {place} {text}"),
        }
    }
}

/// Parses the text of a `run.toml` called `name` in messages.
///
/// # Errors
/// As [`load`].
#[cfg(test)]
pub(crate) fn parse(name: &str, text: &str) -> Result<RunConfig, ConfigError> {
    load(name, text, None, &Overrides::default())
}

/// What a command line sets over a file.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Overrides<'a> {
    /// `KEY=VALUE` of each `--set`.
    pub sets: &'a [String],
    /// The path or word of `--data`.
    pub data: Option<&'a str>,
}

/// Parses the text of a `run.toml` called `name` in messages, with a command line's settings over it.
/// Relative paths in the text start at `base`, those of the command line at the working directory;
/// all become absolute.
///
/// # Errors
/// All problems at once, by line: TOML syntax, unknown keys with the nearest known one, wrong types,
/// values out of range, paths that do not exist.
pub(crate) fn load(
    name: &str,
    text: &str,
    base: Option<&Path>,
    over: &Overrides<'_>,
) -> Result<RunConfig, ConfigError> {
    let fail = |mut problems: Vec<Problem>| {
        problems.sort_by_key(|p| p.order);
        ConfigError {
            name: name.to_owned(),
            problems: problems.into_iter().map(|p| p.text).collect(),
        }
    };
    let whole = |e: String| fail(vec![Problem::new("", String::new(), &e)]);
    let mut lines: Vec<(String, Origin)> = vec![(text.to_owned(), Origin::File)];
    lines.extend(over.sets.iter().map(|s| (as_toml(s), Origin::Set)));
    lines.extend(over.data.map(|d| {
        let value = Value::String(d.to_owned());
        (format!("data = {value}"), Origin::Data)
    }));
    let (mut documents, mut problems) = (Vec::new(), Vec::new());
    for (text, origin) in &lines {
        match DeTable::parse(text) {
            Ok(table) => documents.push(Document {
                text,
                table: table.into_inner(),
                origin: *origin,
            }),
            Err(e) if *origin == Origin::File => {
                let line = e.span().map_or(1, |s| line_of(text, &s));
                let place = format!("line {line:<4}");
                problems.push(Problem::new(&place, String::new(), e.message()));
            }
            Err(e) => {
                let text = format!("`{text}`: {}", e.message());
                problems.push(Problem::new("--set    ", String::new(), &text));
            }
        }
    }
    let known = known_keys();
    for document in &documents {
        walk(document, &document.table, &known, "", &mut problems);
    }
    let defaults = Table::try_from(RunConfig::default()).map_err(|e| whole(e.to_string()))?;
    // What can be understood is checked beside what can not.
    let merged = |problems: &[Problem]| -> Result<RunConfig, toml::de::Error> {
        let mut all = defaults.clone();
        for document in &documents {
            let mut user: Table = toml::from_str(document.text)?;
            for problem in problems {
                forget(&mut user, &problem.path);
            }
            let base = base.filter(|_| document.origin == Origin::File);
            rebase(&mut user, base.unwrap_or(Path::new("")));
            merge(&mut all, user);
        }
        Value::Table(all).try_into()
    };
    let config = merged(&problems).or_else(|_| {
        for document in &documents {
            let (table, at) = (&document.table, &mut Vec::new());
            wrong_values(document, table, &defaults, at, &mut problems);
        }
        merged(&problems)
    });
    let config = match config {
        Ok(config) => config,
        Err(e) if problems.is_empty() => return Err(whole(e.message().to_owned())),
        Err(_) => return Err(fail(problems)),
    };
    // The last one that sets a key decides.
    let place = |path: &str| {
        documents
            .iter()
            .rev()
            .find_map(|d| Some(d.place(&span_of_key(&d.table, path)?)))
    };
    for (path, rule) in check(&config) {
        let place = place(&path).unwrap_or("default  ".to_owned());
        // What has a problem already is not the value that was meant.
        if !problems.iter().any(|p| p.path == path) {
            problems.push(Problem::new(&place, path, &rule));
        }
    }
    if problems.is_empty() {
        Ok(config)
    } else {
        Err(fail(problems))
    }
}

/// Takes a dotted key out.
fn forget(table: &mut Table, path: &str) {
    match path.split_once('.') {
        None => drop(table.remove(path)),
        Some((first, rest)) => {
            if let Some(Value::Table(inner)) = table.get_mut(first) {
                forget(inner, rest);
            }
        }
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

/// Makes paths absolute: relative ones start at `base`, which may itself be relative to the working
/// directory.
fn rebase(table: &mut Table, base: &Path) {
    let from = |table: &mut Table, key: &str| {
        if let Some(Value::String(text)) = table.get_mut(key)
            && !["", "auto", "bundled"].contains(&text.as_str())
        {
            let path = base.join(&*text);
            let path = std::path::absolute(&path).unwrap_or(path);
            *text = path.display().to_string();
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
    found: &mut Vec<Problem>,
) {
    for (key, value) in table {
        at.push(key.get_ref().to_string());
        let path = at.join(".");
        if found.iter().any(|p| p.path == path) {
            // Told already.
        } else if let DeValue::Table(inner) = value.get_ref() {
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
            // Another kind may want fields that are set beside it.
            if let Err(e) = RunConfig::deserialize(Value::Table(alone))
                && !e.message().starts_with("missing field")
            {
                let text = format!(
                    "{path} = {}: {}",
                    &document.text[value.span()],
                    e.message().lines().next().unwrap_or_default()
                );
                let place = document.place(&key.span());
                found.push(Problem::new(&place, path, &text));
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
    problems: &mut Vec<Problem>,
) {
    for (key, value) in table {
        let name = key.get_ref().as_ref();
        let path = format!("{at}{name}");
        let text = match known.get(name) {
            None => unknown(at, name, known),
            Some(Value::Table(inner)) => match value.get_ref() {
                DeValue::Table(table) => {
                    walk(document, table, inner, &format!("{path}."), problems);
                    continue;
                }
                other => format!("{path} is a table, not {}", with_article(other.type_str())),
            },
            Some(_) if is_too_large(value.get_ref()) => {
                let most = i64::MAX;
                format!("{path} is beyond what a TOML integer holds: {most} is the greatest")
            }
            Some(expected) => {
                let (wanted, found) = (expected.type_str(), value.get_ref().type_str());
                if wanted == found || (wanted == "float" && found == "integer") {
                    continue;
                }
                let [wanted, found] = [wanted, found].map(with_article);
                format!("{path} takes {wanted}, not {found}")
            }
        };
        problems.push(Problem::new(&document.place(&key.span()), path, &text));
    }
}

/// Whether an integer has more than 64 bits, sign included.
fn is_too_large(value: &DeValue<'_>) -> bool {
    let DeValue::Integer(number) = value else {
        return false;
    };
    i64::from_str_radix(number.as_str(), number.radix()).is_err()
}

/// "a float", "an integer".
fn with_article(word: &str) -> String {
    let vowel = word.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {word}", if vowel { "an" } else { "a" })
}

fn unknown(at: &str, name: &str, known: &Table) -> String {
    let nearest = known
        .keys()
        .map(|k| (strsim::damerau_levenshtein(k, name), k))
        .min()
        .filter(|(distance, _)| *distance <= name.len().div_ceil(2));
    match nearest {
        Some((_, key)) => format!("unknown key `{at}{name}`; did you mean `{at}{key}`?"),
        None => {
            let keys: Vec<&str> = known.keys().map(String::as_str).collect();
            format!("unknown key `{at}{name}`; known here: {}", keys.join(", "))
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
