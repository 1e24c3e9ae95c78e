//! A folder, list or archive of the user's own images as a data set.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::Instant;

use thiserror::Error;

use super::assemble::{Cut, assemble};
use super::cache::{Cache, CacheError, Listing, Shelf};
use super::collect::{CollectError, Collected, Item, collect, sample};
use super::dataset::Dataset;
use super::fit::Fit;
use super::parts::Part;
use super::report::{DataReport, Sizes};
use super::shape::choose;
use super::source::{Form, Source, SourceError, layout};
use crate::util::numbers::thousands;

/// Images whose headers decide the size.
const SAMPLE: usize = 1000;

/// What to open, and how.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Labeled images.
    pub labeled: PathBuf,
    /// Unlabeled images.
    pub unlabeled: Option<PathBuf>,
    /// Height, width, channels; 0 for the rule of [`choose`].
    pub wanted: [usize; 3],
    /// For other aspect ratios.
    pub fit: Fit,
    /// Shares of the split.
    pub cut: Cut,
}

/// Why a set can't be opened.
#[derive(Debug, Error)]
pub(crate) enum OpenError {
    /// Paths that hold no images, all of them.
    #[error("{}", join(.0))]
    Sources(Vec<SourceError>),
    /// A damaged archive, or the cache.
    #[error(transparent)]
    Collect(#[from] CollectError),
    /// The cache.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// Images that the cache had only just now.
    #[error("{0}")]
    Lost(String),
    /// Images that make no set.
    #[error("{path}: {why}")]
    Unfit {
        /// The labeled source.
        path: PathBuf,
        /// In words.
        why: String,
    },
}

fn join(errors: &[SourceError]) -> String {
    let all: Vec<String> = errors.iter().map(ToString::to_string).collect();
    all.join("\n")
}

/// Opens a set. `tell` hears lines about slow work.
///
/// # Errors
/// Any [`OpenError`]; damaged images are not errors but part of the report.
pub(crate) fn open(
    request: &Request,
    cache: &Cache,
    tell: &dyn Fn(&str),
) -> Result<(Dataset, DataReport), OpenError> {
    let (labeled, unlabeled) = sources(request)?;
    let unfit = |why: String| OpenError::Unfit {
        path: request.labeled.clone(),
        why,
    };
    if same(&request.labeled, request.unlabeled.as_deref()) {
        return Err(unfit(
            "labeled and unlabeled images are the same\n  do:    leave the unlabeled ones out: the training images stand in for them".into(),
        ));
    }
    let headers = if request.wanted.contains(&0) {
        sample(&labeled, SAMPLE)
    } else {
        vec![request.wanted]
    };
    let shape = choose(&headers, request.wanted).ok_or_else(|| {
        unfit(
            "none of its images can be read\n  do:    pupil data names what is wrong with each"
                .into(),
        )
    });
    let mut report = DataReport::default();
    let mut shelf = match &shape {
        Ok(shape) => {
            (report.shape, report.shape_why) = (shape.dims, shape.why.clone());
            cache.shelf(shape.dims, request.fit)?
        }
        // All damaged: decoding tells why.
        Err(_) => cache.shelf([16, 16, 3], request.fit)?,
    };
    let mut damaged_listings = Vec::new();
    let mut gather = |source: &Source, shelf: &mut Shelf| {
        let mut listing = cache.listing(&source.path);
        damaged_listings.extend(listing.damaged().map(str::to_owned));
        gather(source, shelf, &mut listing, tell)
    };
    let mut first = gather(&labeled, &mut shelf)?;
    let second = match &unlabeled {
        Some(source) => gather(source, &mut shelf)?,
        None => Collected::default(),
    };
    place(&labeled, &mut first.items, &mut report);
    let all = || first.items.iter().chain(&second.items);
    describe(all(), &shelf, &mut report);
    report.read = first.read + second.read;
    report.damaged = first.damaged.into_iter().chain(second.damaged).collect();
    report.cache_damaged = shelf.damaged().to_vec();
    report.cache_damaged.extend(damaged_listings);
    report.other_files = first.others;
    report.empty_folders = labeled.empty.clone();
    for (extension, count) in second.others {
        *report.other_files.entry(extension).or_default() += count;
    }
    report.source = format!("{}, {}", request.labeled.display(), labeled.form.name());
    if let Some(path) = &request.unlabeled {
        report.source += &format!("; unlabeled {}", path.display());
    }
    if first.items.is_empty() {
        let named: Vec<String> = report.findings(5);
        return Err(unfit(format!(
            "no usable image in it\n  {}",
            named.join("\n  ")
        )));
    }
    shape?;
    let data = assemble(first.items, second.items, request.cut, &shelf, &mut report);
    let data = data.map_err(|why| unfit(why + &also_damaged(&report)))?;
    // Near copies were looked for among pixels of the cache.
    match data.failure() {
        Some(failure) => Err(OpenError::Lost(failure)),
        None => Ok((data, report)),
    }
}

/// The labeled and the unlabeled source.
///
/// # Errors
/// Both of them, where both are wrong.
fn sources(request: &Request) -> Result<(Source, Option<Source>), OpenError> {
    let labeled = Source::open(&request.labeled);
    let unlabeled = request.unlabeled.as_deref().map(Source::open).transpose();
    let (mut labeled, unlabeled) = match (labeled, unlabeled) {
        (Ok(l), Ok(u)) => (l, u),
        (l, u) => {
            let errors = [l.err(), u.err()].into_iter().flatten().collect();
            return Err(OpenError::Sources(errors));
        }
    };
    // photos/ and photos/new: the inner folder is no class of the outer one.
    if let Some(inner) = request
        .unlabeled
        .as_deref()
        .and_then(|p| p.canonicalize().ok())
    {
        let outside = |path: &Path| !path.canonicalize().is_ok_and(|p| p.starts_with(&inner));
        if request
            .labeled
            .canonicalize()
            .is_ok_and(|l| inner.starts_with(l))
        {
            labeled.files.retain(|f| outside(&f.path));
        }
    }
    Ok((labeled, unlabeled))
}

/// Reads what is new of a source into the cache. Now and then `tell` hears how fast.
fn gather(
    source: &Source,
    shelf: &mut Shelf,
    listing: &mut Listing,
    tell: &dyn Fn(&str),
) -> Result<Collected, CollectError> {
    let start = Instant::now();
    let said = Cell::new(start);
    collect(source, shelf, listing, &|n| {
        if said.get().elapsed().as_secs_f64() > 3.0 {
            said.set(Instant::now());
            let speed = n as f64 / start.elapsed().as_secs_f64();
            tell(&format!(
                "  reading {}: {} images, {speed:.0} a second",
                source.path.display(),
                thousands(n)
            ));
        }
    })
}

/// What is added to the reason why images make no set.
fn also_damaged(report: &DataReport) -> String {
    match report.damaged.first() {
        Some(first) => format!(
            "\n  {} files are damaged, the first: {}: {}",
            report.damaged.len(),
            first.file,
            first.why
        ),
        None => String::new(),
    }
}

/// Whether both are one folder or file.
fn same(labeled: &Path, unlabeled: Option<&Path>) -> bool {
    let unlabeled = unlabeled.and_then(|p| p.canonicalize().ok());
    unlabeled.is_some_and(|u| labeled.canonicalize().is_ok_and(|l| l == u))
}

/// Classes and parts by folder names; images outside of all classes go.
fn place(source: &Source, items: &mut Vec<Item>, report: &mut DataReport) {
    if !matches!(source.form, Form::Folder | Form::Archive) {
        return;
    }
    let names: Vec<&str> = items.iter().map(|i| i.name.as_str()).collect();
    let placements = layout(&names);
    let mut kept = Vec::with_capacity(items.len());
    for (mut item, placement) in std::mem::take(items).into_iter().zip(placements) {
        if placement.class.is_none() && placement.part != Some(Part::Unlabeled) {
            report.outside.push(item.name);
            continue;
        }
        (item.label, item.part) = (placement.class, placement.part);
        kept.push(item);
    }
    *items = kept;
}

fn describe<'a>(items: impl Iterator<Item = &'a Item>, shelf: &Shelf, report: &mut DataReport) {
    let mut sizes: Vec<(usize, [usize; 2])> = Vec::new();
    for item in items {
        let [h, w, c] = shelf.entry(item.place).original.map(|d| d as usize);
        sizes.push((h * w, [w, h]));
        report.grey += usize::from(c == 1);
    }
    sizes.sort_unstable();
    report.images = sizes.len();
    let at = |i: usize| sizes.get(i).map_or([0, 0], |s| s.1);
    report.sizes = Sizes {
        smallest: at(0),
        median: at(sizes.len() / 2),
        largest: at(sizes.len().saturating_sub(1)),
    };
}

/// Images of one folder for measuring, brought to `dims`; class by folder. For `pupil eval`.
///
/// # Errors
/// As [`open`].
pub(crate) fn open_all(
    path: &Path,
    dims: [usize; 3],
    fit: Fit,
    cache: &Cache,
) -> Result<(Vec<Item>, Shelf, DataReport), OpenError> {
    let source = Source::open(path).map_err(|e| OpenError::Sources(vec![e]))?;
    let mut shelf = cache.shelf(dims, fit)?;
    let mut listing = cache.listing(path);
    let mut collected = collect(&source, &mut shelf, &mut listing, &|_| {})?;
    let mut report = DataReport {
        source: format!("{}, {}", path.display(), source.form.name()),
        ..DataReport::default()
    };
    place(&source, &mut collected.items, &mut report);
    report.damaged = collected.damaged;
    report.other_files = collected.others;
    report.cache_damaged = shelf.damaged().to_vec();
    let listing = listing.damaged().map(str::to_owned);
    report.cache_damaged.extend(listing);
    Ok((collected.items, shelf, report))
}

#[cfg(test)]
mod tests;
