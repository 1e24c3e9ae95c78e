//! `pupil new`: a project for the user's own images.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, bail};

use super::data::look;
use crate::config::{DataSource, RunConfig, write};
use crate::data::report::DataReport;
use crate::data::{Augment, fashion_mnist};
use crate::util::call::call;
use crate::util::files::write_atomic;
use crate::util::numbers::thousands;

/// Checks the images and writes `name/run.toml`; returns what to say.
///
/// # Errors
/// All wrong paths at once; images that make no set.
pub(crate) fn create(
    name: &Path,
    labeled: &Path,
    unlabeled: Option<&Path>,
    quiet: bool,
) -> anyhow::Result<String> {
    let file = name.join("run.toml");
    check(name, labeled, unlabeled)?;
    let mut config = RunConfig {
        data: DataSource::Path(std::path::absolute(labeled)?),
        ..RunConfig::default()
    };
    if let Some(path) = unlabeled {
        config.images.unlabeled = std::path::absolute(path)?.display().to_string();
    }
    let report = look(&config, quiet)?;
    let [h, w, c] = report.shape;
    if !fashion_mnist::is_in(labeled) {
        (
            config.images.height,
            config.images.width,
            config.images.channels,
        ) = (h, w, c);
    }
    for augment in [
        &mut config.transfer.augment,
        &mut config.teacher.augment,
        &mut config.student.augment,
        &mut config.student.weak,
        &mut config.distill.augment,
        &mut config.distill.labels_only_augment,
    ] {
        scale(augment, h.min(w));
    }
    let head = [
        format!(
            "A project of pupil {}: every key, with its default.",
            env!("CARGO_PKG_VERSION")
        ),
        format!("Train it: pupil run {}", file.display()),
    ];
    let text = write::commented(&config, &head)?;
    let cant = || {
        format!(
            "{}: can't be written\n  do:    choose another folder",
            file.display()
        )
    };
    std::fs::create_dir_all(name).with_context(cant)?;
    write_atomic(&file, text.as_bytes()).with_context(cant)?;

    Ok(message(&file, &report))
}

/// Whether the project can be made of these paths.
///
/// # Errors
/// All that is wrong with them.
fn check(name: &Path, labeled: &Path, unlabeled: Option<&Path>) -> anyhow::Result<()> {
    let file = name.join("run.toml");
    let mut problems = Vec::new();
    if file.exists() {
        problems.push(format!(
            "{}: exists already; choose another name",
            file.display()
        ));
    } else if name.exists() && !name.is_dir() {
        problems.push(format!(
            "{}: is a file; choose another name",
            name.display()
        ));
    }
    for (option, path) in [("--labeled", Some(labeled)), ("--unlabeled", unlabeled)] {
        if let Some(path) = path.filter(|p| !p.exists()) {
            problems.push(format!(
                "{option} {}: does not exist; give a folder, a list or an archive of images",
                path.display()
            ));
        }
    }
    match problems.as_slice() {
        [] => Ok(()),
        [one] => bail!("{one}"),
        several => bail!("{} problems\n  {}", several.len(), several.join("\n  ")),
    }
}

/// What is said of a new project.
fn message(file: &Path, report: &DataReport) -> String {
    let [train, validation, test] = report.totals();
    let mut out = format!("wrote {}\n", file.display());
    let _ = writeln!(
        out,
        "  {} classes, {} labeled images: {} train, {} validation, {} test; {} unlabeled",
        report.classes.len(),
        thousands(train + validation + test),
        thousands(train),
        thousands(validation),
        thousands(test),
        thousands(report.unlabeled)
    );
    let [h, w, c] = report.shape;
    let color = if c == 1 { "grey" } else { "RGB" };
    let _ = writeln!(out, "  the net sees {w}x{h} {color}: {}", report.shape_why);
    for finding in report.findings(5) {
        let _ = writeln!(out, "  {finding}");
    }
    let _ = writeln!(out, "next: {} {}", call("run"), file.display());
    out
}

/// The defaults are for 28 pixels a side.
fn scale(augment: &mut Augment, side: usize) {
    let to = |pixels: &mut usize| *pixels = (*pixels * side + 14) / 28;
    match augment {
        Augment::None => {}
        Augment::Weak { shift, .. } => to(shift),
        Augment::Strong { shift, cutout, .. } => {
            to(shift);
            to(cutout);
        }
    }
}
