//! From collected images to the four parts: copies out, then the split, then near copies of
//! what is measured on out of what is trained on.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::cache::Shelf;
use super::collect::Item;
use super::dataset::{Dataset, Labeled};
use super::fingerprint::Key;
use super::images::Images;
use super::near;
use super::parts::{Part, assign, draw};
use super::report::{ClassCount, DataReport, Pair};

/// How to cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    /// Share of validation images where the set brings none.
    pub validation: f64,
    /// Share of test images where the set brings none.
    pub test: f64,
    /// Training images of a class that keep their label; 0 for all.
    pub labels_per_class: usize,
}

/// A labeled image on its way.
#[derive(Clone, Debug)]
struct Known {
    item: Item,
    class: u8,
    part: Part,
}

/// Cuts the images of a labeled source (each with a class, a part, or the part `Unlabeled`) and
/// of an unlabeled one. Fills in the report's counts and lists.
///
/// # Errors
/// A set that can't be trained on, in words.
pub(crate) fn assemble(
    labeled: Vec<Item>,
    unlabeled: Vec<Item>,
    cut: Cut,
    shelf: &Shelf,
    report: &mut DataReport,
) -> Result<Dataset, String> {
    let (mut loose, mut named): (Vec<Item>, Vec<Item>) = (unlabeled, Vec::new());
    for item in labeled {
        match (&item.label, item.part) {
            (_, Some(Part::Unlabeled)) | (None, _) => loose.push(item),
            (Some(_), _) => named.push(item),
        }
    }
    let classes = class_names(&named)?;
    // Every labeled content, kept or not: none of it is unlabeled.
    let labeled_names: HashMap<Key, String> =
        named.iter().map(|i| (i.key, i.name.clone())).collect();
    let unique = without_copies(named, report);
    let mut known = split(unique, &classes, cut, report);
    leave_out_near(&mut known, shelf, report);
    let mut spare = Vec::new();
    if cut.labels_per_class > 0 {
        spare = few_labels(&mut known, classes.len(), cut.labels_per_class);
    }
    let measured: Vec<&Known> = known.iter().filter(|k| k.part != Part::Train).collect();
    let mut unlabeled = clean_unlabeled(loose, &labeled_names, &measured, shelf, report);
    unlabeled.extend(spare);
    unlabeled.sort_unstable_by_key(|i| i.key);

    known.sort_unstable_by_key(|k| k.item.key);
    let images = |items: &[&Item]| {
        let places = items.iter().map(|i| (i.place, Arc::from(i.name.as_str())));
        Images::cached(shelf.dims(), shelf.segments(), places)
    };
    let part = |part: Part| {
        let members: Vec<&Known> = known.iter().filter(|k| k.part == part).collect();
        Labeled {
            images: images(&members.iter().map(|k| &k.item).collect::<Vec<_>>()),
            labels: members.iter().map(|k| k.class).collect(),
        }
    };
    let train = part(Part::Train);
    report.stand_in = unlabeled.is_empty();
    let without = if unlabeled.is_empty() {
        train.images.clone()
    } else {
        images(&unlabeled.iter().collect::<Vec<_>>())
    };
    let data = Dataset {
        source: report.source.clone(),
        classes,
        labeled: train,
        validation: part(Part::Validation),
        unlabeled: without,
        test: part(Part::Test),
    };
    count(&data, report);
    check(&data, report)?;
    Ok(data)
}

fn class_names(items: &[Item]) -> Result<Vec<String>, String> {
    let names: BTreeSet<&str> = items.iter().filter_map(|i| i.label.as_deref()).collect();
    let mut names: Vec<String> = names.into_iter().map(str::to_owned).collect();
    // 2 before 10.
    if names.iter().all(|n| n.parse::<u64>().is_ok()) {
        names.sort_by_key(|n| n.parse::<u64>().unwrap_or(0));
    }
    match names.len() {
        0 => Err(
            "no image has a class\n  do:    put the images of each class into a folder of its name"
                .into(),
        ),
        1 => Err(format!(
            "all images are of one class, `{}`\n  do:    add a folder with images of another",
            names[0]
        )),
        2..=256 => Ok(names),
        n => Err(format!("{n} classes; at most 256 are supported")),
    }
}

/// Which of two copies stays: the one of the part that decides more.
fn rank(part: Option<Part>) -> u8 {
    match part {
        Some(Part::Test) => 0,
        Some(Part::Validation) => 1,
        Some(_) => 2,
        None => 3,
    }
}

/// One image of each content; contents that have several classes go altogether.
fn without_copies(items: Vec<Item>, report: &mut DataReport) -> Vec<Item> {
    let mut groups: BTreeMap<Key, Vec<Item>> = BTreeMap::new();
    for item in items {
        groups.entry(item.key).or_default().push(item);
    }
    let mut kept = Vec::new();
    for (_, mut group) in groups {
        group.sort_by(|a, b| rank(a.part).cmp(&rank(b.part)).then(a.name.cmp(&b.name)));
        let mut rest = group.into_iter();
        let Some(first) = rest.next() else { continue };
        let rest: Vec<Item> = rest.collect();
        if rest.iter().any(|i| i.label != first.label) {
            let all = std::iter::once(&first).chain(&rest).map(|i| i.name.clone());
            report.contradictions.push(all.collect());
            continue;
        }
        report.copies.extend(rest.into_iter().map(|i| Pair {
            left_out: i.name,
            because_of: first.name.clone(),
        }));
        kept.push(first);
    }
    kept
}

/// Parts by content where the set does not say.
fn split(items: Vec<Item>, classes: &[String], cut: Cut, report: &mut DataReport) -> Vec<Known> {
    let has = |part| items.iter().any(|i| i.part == Some(part));
    let (own_test, own_validation) = (has(Part::Test), has(Part::Validation));
    let test = if own_test { 0.0 } else { cut.test };
    let validation = if own_validation { 0.0 } else { cut.validation };
    let index: HashMap<&str, u8> = classes
        .iter()
        .enumerate()
        .map(|(i, c)| (c.as_str(), i as u8))
        .collect();
    let mut known: Vec<Known> = items
        .into_iter()
        .map(|item| Known {
            class: item
                .label
                .as_deref()
                .and_then(|l| index.get(l))
                .copied()
                .unwrap_or(0),
            part: item.part.unwrap_or(Part::Train),
            item,
        })
        .collect();
    for (class, name) in classes.iter().enumerate() {
        let members: Vec<usize> = (0..known.len())
            .filter(|i| usize::from(known[*i].class) == class)
            .filter(|i| matches!(known[*i].item.part, None | Some(Part::Train)))
            .collect();
        let draws: Vec<f64> = members.iter().map(|i| draw(&known[*i].item.key)).collect();
        let (parts, moved) = assign(&draws, validation, test);
        for (i, part) in members.into_iter().zip(parts) {
            known[i].part = part;
        }
        if moved > 0 {
            report.small_classes.push(name.clone());
        }
    }
    known
}

/// Training images that are near copies of validation or test images go, and validation images
/// that are near copies of test images.
fn leave_out_near(known: &mut Vec<Known>, shelf: &Shelf, report: &mut DataReport) {
    for (part, against) in [
        (Part::Validation, &[Part::Test][..]),
        (Part::Train, &[Part::Test, Part::Validation]),
    ] {
        let pick = |wanted: &[Part]| -> Vec<usize> {
            (0..known.len())
                .filter(|i| wanted.contains(&known[*i].part))
                .collect()
        };
        let (mine, others) = (pick(&[part]), pick(against));
        let places = |of: &[usize]| of.iter().map(|i| known[*i].item.place).collect::<Vec<_>>();
        let found = near::copies(&places(&mine), &places(&others), shelf);
        let mut gone = BTreeSet::new();
        for (i, other) in mine.into_iter().zip(found) {
            if let Some(other) = other {
                report.near_copies.push(Pair {
                    left_out: known[i].item.name.clone(),
                    because_of: known[others[other]].item.name.clone(),
                });
                gone.insert(i);
            }
        }
        let mut at = 0;
        known.retain(|_| {
            at += 1;
            !gone.contains(&(at - 1))
        });
    }
}

/// Keeps the labels of few training images of each class, chosen by content; returns the others.
fn few_labels(known: &mut Vec<Known>, classes: usize, each: usize) -> Vec<Item> {
    known.sort_by(|a, b| draw(&a.item.key).total_cmp(&draw(&b.item.key)));
    let mut left = vec![each; classes];
    let (mut kept, mut spare) = (Vec::new(), Vec::new());
    for k in std::mem::take(known) {
        let budget = &mut left[usize::from(k.class)];
        match (k.part, *budget) {
            (Part::Train, 0) => spare.push(k.item),
            (Part::Train, _) => {
                *budget -= 1;
                kept.push(k);
            }
            _ => kept.push(k),
        }
    }
    *known = kept;
    spare
}

/// Unlabeled images without those that have a label, copies among themselves, and near copies
/// of what is measured on.
fn clean_unlabeled(
    items: Vec<Item>,
    labeled: &HashMap<Key, String>,
    measured: &[&Known],
    shelf: &Shelf,
    report: &mut DataReport,
) -> Vec<Item> {
    let mut first: HashMap<Key, String> = HashMap::new();
    let mut kept = Vec::new();
    for item in items {
        if let Some(name) = labeled.get(&item.key) {
            report.labeled_among_unlabeled.push(Pair {
                left_out: item.name,
                because_of: name.clone(),
            });
        } else if let Some(name) = first.get(&item.key) {
            report.copies.push(Pair {
                left_out: item.name,
                because_of: name.clone(),
            });
        } else {
            first.insert(item.key, item.name.clone());
            kept.push(item);
        }
    }
    let places: Vec<_> = kept.iter().map(|i| i.place).collect();
    let others: Vec<_> = measured.iter().map(|k| k.item.place).collect();
    let found = near::copies(&places, &others, shelf);
    let mut clean = Vec::new();
    for (item, other) in kept.into_iter().zip(found) {
        match other {
            Some(other) => report.near_copies.push(Pair {
                left_out: item.name,
                because_of: measured[other].item.name.clone(),
            }),
            None => clean.push(item),
        }
    }
    clean
}

fn count(data: &Dataset, report: &mut DataReport) {
    let of = |set: &Labeled, class: usize| {
        set.labels
            .iter()
            .filter(|l| usize::from(**l) == class)
            .count()
    };
    report.classes = data
        .classes
        .iter()
        .enumerate()
        .map(|(i, name)| ClassCount {
            name: name.clone(),
            train: of(&data.labeled, i),
            validation: of(&data.validation, i),
            test: of(&data.test, i),
        })
        .collect();
    report.unlabeled = if report.stand_in {
        0
    } else {
        data.unlabeled.len()
    };
}

fn check(data: &Dataset, report: &DataReport) -> Result<(), String> {
    let empty: Vec<&str> = report
        .classes
        .iter()
        .filter(|c| c.train == 0)
        .map(|c| c.name.as_str())
        .collect();
    if !empty.is_empty() {
        return Err(format!(
            "no training image of {}\n  why:   a class must be trained to be measured\n  do:    add labeled images of it, or remove its folder",
            empty.join(", ")
        ));
    }
    if data.test.labels.is_empty() || data.validation.labels.is_empty() {
        return Err("too few images for a validation and a test part\n  do:    label some more: at least three of each class".into());
    }
    Ok(())
}
