//! The images of a run.

use std::path::{Path, PathBuf};

use anyhow::bail;
use pupil_packer::check_label;

use crate::config::{DataSource, RunConfig};
use crate::data::assemble::Cut;
use crate::data::cache::Cache;
use crate::data::open::{self, Request};
use crate::data::report::DataReport;
use crate::data::{Dataset, fashion_mnist};

/// Opens the configured set; the user's own come with a report.
///
/// # Errors
/// Whatever keeps the set from being read or its classes from being packed, with what to do.
pub(crate) fn load_data(
    config: &RunConfig,
    tell: &dyn Fn(&str),
) -> anyhow::Result<(Dataset, Option<DataReport>)> {
    let (data, report) = open_data(config, tell)?;
    check_labels(&data)?;
    Ok((data, report))
}

/// Whether a packed student can hold the names of the classes: the packer's own check, before any
/// training.
fn check_labels(data: &Dataset) -> anyhow::Result<()> {
    for (class, name) in data.classes.iter().enumerate() {
        let Err(why) = check_label(name) else {
            continue;
        };
        let parts = [&data.labeled, &data.validation, &data.test];
        let image = parts.into_iter().find_map(|part| {
            let of_class = |label: &u8| usize::from(*label) == class;
            Some(part.images.name(part.labels.iter().position(of_class)?))
        });
        bail!(
            "{}: {why}\n  where: {}\n  why:   the packed student holds the names of its classes\n  do:    rename the class",
            data.source,
            image.unwrap_or_default()
        );
    }
    Ok(())
}

fn open_data(
    config: &RunConfig,
    tell: &dyn Fn(&str),
) -> anyhow::Result<(Dataset, Option<DataReport>)> {
    let installed = Path::new(fashion_mnist::DEBIAN_FOLDER);
    let loaded = match &config.data {
        DataSource::Bundled => fashion_mnist::bundled(),
        DataSource::Auto if installed.is_dir() => fashion_mnist::folder(installed),
        DataSource::Auto => fashion_mnist::bundled(),
        DataSource::Path(path) if fashion_mnist::is_in(path) => fashion_mnist::folder(path),
        DataSource::Path(path) => {
            let (data, report) = open::open(&request(config, path), &Cache::standard(), tell)?;
            return Ok((data, Some(report)));
        }
    };
    let data = loaded.map_err(|e| {
        anyhow::anyhow!(
            "{e}\n  do:    replace the file, or take `bundled` for the images that come with pupil"
        )
    })?;
    Ok((data, None))
}

/// How a configuration asks for the user's own images at `path`.
pub(crate) fn request(config: &RunConfig, path: &Path) -> Request {
    let images = &config.images;
    Request {
        labeled: path.to_owned(),
        unlabeled: (!images.unlabeled.is_empty()).then(|| PathBuf::from(&images.unlabeled)),
        wanted: [images.height, images.width, images.channels],
        fit: images.fit,
        cut: Cut {
            validation: images.validation,
            test: images.test,
            labels_per_class: images.labels_per_class,
        },
    }
}
