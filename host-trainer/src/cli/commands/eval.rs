//! `pupil eval`: a packed student measured, by core's interpreter, as on the chip.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::{anyhow, bail};
use serde::Serialize;

use crate::cli::arguments::StudentOptions;
use crate::config::{DataSource, RunConfig};
use crate::data::cache::Cache;
use crate::data::open::open_all;
use crate::data::{Images, Labeled, fashion_mnist};
use crate::eval::int8;
use crate::eval::metrics::share_equal;
use crate::run::configuration::configuration;
use crate::run::packed::Student;
use crate::run::repeat::repeat;
use crate::run::{Options, Stage, load_data};
use crate::util::console;
use crate::util::numbers::thousands;
use crate::util::statistics::wilson;

/// Most classes of a set: one byte an image.
const MOST_CLASSES: usize = 256;

/// Figures of one class.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct ClassResult {
    /// Its name.
    pub name: String,
    /// Its images.
    pub images: usize,
    /// Share of them that is recognized.
    pub recall: f64,
    /// Share of the answers with this class that is right.
    pub precision: f64,
}

/// The whole measurement.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Evaluation {
    /// The student's file.
    pub model: String,
    /// What it was measured on.
    pub on: String,
    /// Images.
    pub images: usize,
    /// Share of right answers.
    pub accuracy: f64,
    /// 95 % interval (Wilson).
    pub interval: (f64, f64),
    /// By class.
    pub classes: Vec<ClassResult>,
    /// Rows: true class; columns: answer.
    pub confusion: Vec<Vec<usize>>,
}

/// Measures on a run's own images, or on all labeled images at `data`.
///
/// # Errors
/// No student, no images, classes that the student does not know.
pub(crate) fn measure(
    options: &StudentOptions,
    data: Option<&Path>,
    validation: bool,
) -> anyhow::Result<Evaluation> {
    let student = Student::find(options.model.as_deref(), options.run_dir.as_deref())?;
    let model = student.model()?;
    let labels: Vec<String> = model.labels().map(str::to_owned).collect();
    if labels.len() > MOST_CLASSES {
        bail!(
            "{}: it has {} classes; {MOST_CLASSES} can be measured\n  do:    give a student that pupil has packed",
            student.path.display(),
            labels.len()
        );
    }
    let (on, set) = match data {
        Some(path) => others(&student, &labels, path)?,
        None => own(&student, &labels, validation)?,
    };
    let scores = int8::scores(&model, &set.images)
        .map_err(|why| anyhow!("{}: {why}", student.path.display()))?;
    let answers = int8::classes(&scores, labels.len());
    if let Some(failure) = set.images.failure() {
        bail!("{failure}");
    }
    let mut confusion = vec![vec![0; labels.len()]; labels.len()];
    for (truth, answer) in set.labels.iter().zip(&answers) {
        confusion[usize::from(*truth)][usize::from(*answer)] += 1;
    }
    let share = |n: usize, of: usize| if of == 0 { 0.0 } else { n as f64 / of as f64 };
    let classes = labels.iter().enumerate().map(|(i, name)| {
        let (images, answered) = (
            confusion[i].iter().sum(),
            confusion.iter().map(|r| r[i]).sum(),
        );
        ClassResult {
            name: name.clone(),
            images,
            recall: share(confusion[i][i], images),
            precision: share(confusion[i][i], answered),
        }
    });
    let accuracy = share_equal(&answers, &set.labels);
    Ok(Evaluation {
        model: student.path.display().to_string(),
        on,
        images: set.labels.len(),
        accuracy,
        interval: wilson(accuracy, set.labels.len()),
        classes: classes.collect(),
        confusion,
    })
}

/// The images of the student's own run.
fn own(
    student: &Student,
    labels: &[String],
    validation: bool,
) -> anyhow::Result<(String, Labeled)> {
    let run = student.run.as_deref().ok_or_else(|| {
        anyhow!("{} lies in no run directory, whose images it could be measured on\n  do:    give --data PATH", student.path.display())
    })?;
    let config = configuration(Some(&run.join("run.toml")), &Options::default())?;
    let (data, _) = load_data(&config, &console::note)?;
    let dims = student.dims()?;
    if data.classes != labels || data.dims() != dims {
        bail!(
            "{}: packed for {} classes of {dims:?} images, the run's set has {} of {:?}\n  do:    make it anew: {}, or give --data PATH",
            student.path.display(),
            labels.len(),
            data.classes.len(),
            data.dims(),
            repeat(Stage::Pack, run)
        );
    }
    let (word, set) = if validation {
        ("validation", data.validation)
    } else {
        ("test", data.test)
    };
    Ok((format!("{word} images of {}", data.source), set))
}

/// The test images of Fashion-MNIST, if `path` is a word or a folder for it.
fn fashion(
    labels: &[String],
    dims: [usize; 3],
    path: &Path,
) -> anyhow::Result<Option<(String, Labeled)>> {
    let source = DataSource::try_from(path.display().to_string()).map_err(anyhow::Error::msg)?;
    if matches!(&source, DataSource::Path(path) if !fashion_mnist::is_in(path)) {
        return Ok(None);
    }
    let config = RunConfig {
        data: source,
        ..RunConfig::default()
    };
    let (data, _) = load_data(&config, &console::note)?;
    if data.classes != labels || data.dims() != dims {
        bail!(
            "{}: the student does not know these classes, or not images of {:?}\n  why:   its classes are {}, its images {dims:?}\n  do:    give images as it was trained on",
            data.source,
            data.dims(),
            labels.join(", ")
        );
    }
    Ok(Some((format!("test images of {}", data.source), data.test)))
}

/// All labeled images of another set; classes by name.
fn others(student: &Student, labels: &[String], path: &Path) -> anyhow::Result<(String, Labeled)> {
    if let Some(found) = fashion(labels, student.dims()?, path)? {
        return Ok(found);
    }
    let opened = open_all(path, student.dims()?, student.fit, &Cache::standard())?;
    let (items, shelf, report) = opened;
    for finding in report.findings(10) {
        console::note(&finding.to_string());
    }
    let mut unknown: Vec<&str> = Vec::new();
    let (mut places, mut truth) = (Vec::new(), Vec::new());
    for item in &items {
        let Some(class) = &item.label else { continue };
        match labels.iter().position(|l| l == class) {
            Some(i) => {
                places.push((item.place, Arc::from(item.name.as_str())));
                truth.push(i as u8);
            }
            None => unknown.push(class),
        }
    }
    unknown.sort_unstable();
    unknown.dedup();
    if !unknown.is_empty() {
        bail!(
            "{}: the student does not know {}\n  why:   its classes are {}\n  do:    rename or remove these",
            path.display(),
            unknown.join(", "),
            labels.join(", ")
        );
    }
    if truth.is_empty() {
        bail!(
            "{}: no labeled image in it\n  do:    put the images of each class into a folder of its name",
            path.display()
        );
    }
    let set = Labeled {
        images: Images::cached(shelf.dims(), shelf.segments(), places),
        labels: truth,
    };
    Ok((format!("all labeled images of {}", report.source), set))
}

impl Evaluation {
    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut text = format!(
            "{} on {} {}\n\n",
            self.model,
            thousands(self.images),
            self.on
        );
        let wide = self.classes.iter().map(|c| c.name.chars().count()).max();
        let wide = wide.unwrap_or(0).max(5);
        let _ = writeln!(text, "{:<wide$}   images    recall  precision", "class");
        for c in &self.classes {
            let _ = writeln!(
                text,
                "{:<wide$} {:>8} {:>7.2} % {:>8.2} %",
                c.name,
                thousands(c.images),
                100.0 * c.recall,
                100.0 * c.precision
            );
        }
        let mut mistakes: Vec<(usize, usize, usize)> = Vec::new();
        for (i, row) in self.confusion.iter().enumerate() {
            mistakes.extend(
                row.iter()
                    .enumerate()
                    .filter(|(j, n)| *j != i && **n > 0)
                    .map(|(j, n)| (*n, i, j)),
            );
        }
        mistakes.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
        let mistakes: Vec<String> = mistakes
            .iter()
            .take(3)
            .map(|(n, i, j)| format!("{} as {} {n}", self.classes[*i].name, self.classes[*j].name))
            .collect();
        if !mistakes.is_empty() {
            let _ = writeln!(text, "\nmost common mistakes: {}", mistakes.join(", "));
        }
        let (low, high) = self.interval;
        let _ = writeln!(
            text,
            "\naccuracy {:.2} %   95 % interval {:.1}-{:.1} %   int8, host = chip",
            100.0 * self.accuracy,
            100.0 * low,
            100.0 * high
        );
        text
    }
}
