//! Reads `run.toml`: what is missing takes its default, what is wrong is reported all at once,
//! each with its line.

use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use thiserror::Error;
use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use super::{DataSource, ImagesConfig, RunConfig};
use crate::data::Augment;
use crate::methods::MethodsConfig;
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

/// Values out of range, whichever way the configuration came about; `place` says where a key is
/// set.
pub fn check(config: &RunConfig, place: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut problems = Vec::new();
    let mut need = |holds: bool, path: &str, value: String, rule: &str| {
        if !holds {
            let place = place(path).unwrap_or("default  ".to_owned());
            problems.push(format!("  {place} {path} = {value} {rule}"));
        }
    };
    check_images(config, &mut need);
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
        ("student.weak", &config.student.weak),
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
    let rounds = config.student.rounds;
    need(
        (1..=20).contains(&rounds),
        "student.rounds",
        rounds.to_string(),
        "must lie between 1 and 20",
    );
    need(
        !config.student.warm_start || config.student.net == config.teacher.net,
        "student.warm_start",
        "true".into(),
        "needs student.net to be teacher.net",
    );
    check_methods(&config.methods, &mut need);
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

/// Constants of the methods.
fn check_methods(methods: &MethodsConfig, need: &mut impl FnMut(bool, &str, String, &str)) {
    let (own, uda) = (&methods.pseudo_label, &methods.uda);
    let (fixmatch, meta) = (&methods.fixmatch, &methods.meta_pseudo_labels);
    for (key, weight) in [
        ("pseudo_label.alpha", own.alpha),
        ("uda.weight", uda.weight),
        ("fixmatch.weight", fixmatch.weight),
        ("meta_pseudo_labels.weight", meta.weight),
        ("meta_pseudo_labels.clip", meta.clip),
    ] {
        need(
            (0.0..=1000.0).contains(&weight),
            &format!("methods.{key}"),
            weight.to_string(),
            "must lie between 0 and 1000",
        );
    }
    for (key, share) in [
        ("uda.confidence", f64::from(uda.confidence)),
        ("fixmatch.confidence", f64::from(fixmatch.confidence)),
        ("meta_pseudo_labels.baseline", meta.baseline),
        ("meta_pseudo_labels.uda_ramp", meta.uda_ramp),
        ("meta_pseudo_labels.fine_tune", meta.fine_tune),
    ] {
        need(
            (0.0..1.0).contains(&share),
            &format!("methods.{key}"),
            share.to_string(),
            "must be at least 0, below 1",
        );
    }
    let (from, to) = own.ramp;
    need(
        (0.0..=1.0).contains(&from) && (from..=1.0).contains(&to),
        "methods.pseudo_label.ramp",
        format!("[{from}, {to}]"),
        "must be ascending, within 0 and 1",
    );
    need(
        uda.temperature > 0.0 && uda.temperature <= 100.0,
        "methods.uda.temperature",
        uda.temperature.to_string(),
        "must be above 0 and at most 100",
    );
}

/// Sizes, shares, and whether the paths are there.
fn check_images(config: &RunConfig, need: &mut impl FnMut(bool, &str, String, &str)) {
    let images = &config.images;
    for (key, value) in [("height", images.height), ("width", images.width)] {
        need(
            value == 0 || (8..=512).contains(&value),
            &format!("images.{key}"),
            value.to_string(),
            "must lie between 8 and 512, or be 0 to choose by the images",
        );
    }
    need(
        [0, 1, 3].contains(&images.channels),
        "images.channels",
        images.channels.to_string(),
        "must be 1 (grey), 3 (RGB), or 0 to choose by the images",
    );
    for (key, value) in [("validation", images.validation), ("test", images.test)] {
        need(
            value > 0.0 && value <= 0.4,
            &format!("images.{key}"),
            value.to_string(),
            "is a share of the labeled images: above 0, at most 0.4",
        );
    }
    let unlabeled = Path::new(&images.unlabeled);
    let missing = "does not exist";
    if let DataSource::Path(path) = &config.data {
        let text = format!("{:?}", path.display().to_string());
        need(path.exists(), "data", text, missing);
        need(
            images.unlabeled.is_empty() || unlabeled.exists(),
            "images.unlabeled",
            format!("{:?}", images.unlabeled),
            missing,
        );
    } else {
        need(
            *images == ImagesConfig::default(),
            "images",
            "…".into(),
            "is about images of your own; set data to their folder",
        );
    }
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
        ("warmup", fit.warmup),
        ("momentum", f64::from(fit.momentum)),
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
    for (key, value) in [
        ("clip", fit.clip),
        ("mixup", fit.mixup),
        ("cutmix", fit.cutmix),
    ] {
        field(
            (0.0..=1000.0).contains(&value),
            key,
            value.to_string(),
            "must lie between 0 (none) and 1000",
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

    #[test]
    fn settings_of_the_command_line_go_over_the_file() {
        let load = |sets: &[&str]| {
            let sets: Vec<String> = sets.iter().map(|s| (*s).to_owned()).collect();
            load(
                "run.toml",
                "seed = 3\n[teacher.fit]\nsteps = 7\n",
                None,
                &sets,
            )
        };
        let config = load(&[
            "teacher.fit.steps=9",
            "student.augment.kind=none",
            "data = bundled",
        ]);
        let config = config.unwrap();
        assert_eq!((config.seed, config.teacher.fit.steps), (3, 9));
        assert_eq!(config.student.augment, Augment::None);
        assert_eq!(config.data, DataSource::Bundled);
        let found = load(&["sede=1", "teacher.fit.steps=0", "nonsense"])
            .unwrap_err()
            .problems;
        assert!(found[0].starts_with("  --set     `nonsense`"), "{found:?}");
        assert!(found[1].contains("--set     unknown key `sede`; did you mean `seed`"));
        let found = load(&["teacher.fit.steps=0"]).unwrap_err().problems;
        assert_eq!(
            found,
            ["  --set     teacher.fit.steps = 0 must be at least 1"]
        );
    }

    #[test]
    fn words_that_a_key_does_not_take_have_lines_all_at_once() {
        let found = problems("[images]\nfit = \"crp\"\n[teacher.net]\nactivation = \"silo\"\n");
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("line 2") && found[0].contains("images.fit = \"crp\""));
        assert!(
            found[1].contains("line 4") && found[1].contains("`silo`"),
            "{found:?}"
        );
    }

    #[test]
    fn paths_start_at_the_file_and_must_exist() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("photos")).unwrap();
        let text = "data = \"photos\"\n[images]\nunlabeled = \"more\"\nchannels = 2\n";
        let found = load("run.toml", text, Some(folder.path()), &[])
            .unwrap_err()
            .problems;
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(
            found
                .iter()
                .any(|p| p.contains("line 3") && p.contains("more\" does not exist"))
        );
        assert!(
            found
                .iter()
                .any(|p| p.contains("line 4") && p.contains("images.channels = 2"))
        );
        let config = load("run.toml", "data = \"photos\"", Some(folder.path()), &[]).unwrap();
        assert_eq!(config.data, DataSource::Path(folder.path().join("photos")));
        let found = problems("[images]\nheight = 32\n");
        assert!(
            found[0].contains("line 1") && found[0].contains("images of your own"),
            "{found:?}"
        );
    }
}
